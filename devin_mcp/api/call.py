"""One call to Devin's API: its key, its deadline, and the requests that are sent for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from devin_mcp.api.client import DevinClient
from devin_mcp.api.clock import Deadline
from devin_mcp.api.connections import HEADERS
from devin_mcp.api.decoding import decode_response
from devin_mcp.api.endpoint import Endpoint, HasEndpoints, endpoint_for
from devin_mcp.api.error_mapping import (
    describe_transport_error,
    error_from_response,
    no_response_error,
    reply_lost,
)
from devin_mcp.api.organization import GET_SELF
from devin_mcp.api.pending_writes import OnSent, WriteEvent
from devin_mcp.api.request_state import ReportProgress, RequestState
from devin_mcp.api.responses import is_web_page
from devin_mcp.errors import BadKey, Broken, DevinError, NotAllowed, NotSent
from devin_mcp.keys import KEY_PROBLEMS, DevinKey

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")


@dataclass(frozen=True)
class ApiCall:
    """The API as one call uses it: its key, its deadline, and where to report progress."""

    client: DevinClient
    key: DevinKey
    deadline: Deadline
    report: ReportProgress | None
    """Receives a sentence while the caller has to wait; None if nobody asked for progress."""

    def detached(self) -> Self:
        """A copy with a new deadline and no progress reports, for work that callers share."""
        deadline = Deadline.after(self.client.clock, self.client.call_deadline)
        return replace(self, deadline=deadline, report=None)

    def reserving(self, seconds: float) -> Self:
        """A copy whose deadline is `seconds` earlier, which leaves time for a later request."""
        return replace(self, deadline=self.deadline.earlier(seconds))

    def with_timeout(self, seconds: float) -> Self:
        """A copy whose deadline is at most `seconds` from now."""
        return self.reserving(max(0.0, self.deadline.seconds_left() - seconds))

    def web_url(self, session_id: str) -> str | None:
        """The session's page: the id without its prefix (v1.md §3.3). None if unknown."""
        base = self.client.app_url
        return f"{base}/sessions/{session_id.removeprefix('devin-')}" if base else None

    def attachment_url(self, uuid: str, name: str) -> str | None:
        """Where Devin finds an attachment (v1.md §4). None if the web app's address is unknown."""
        base = self.client.app_url
        return f"{base}/attachments/{uuid}/{quote(name)}" if base else None

    def has(self, operation: HasEndpoints) -> bool:
        """Whether the API of this call's key has the operation."""
        return endpoint_for(operation, self.key.api) is not None

    def endpoint(self, operation: HasEndpoints) -> Endpoint:
        """The operation's endpoint. Raises TypeError if the API of this call's key has none."""
        endpoint = endpoint_for(operation, self.key.api)
        if endpoint is None:
            raise TypeError(f"{self.key.api} has no endpoint for this operation")
        return endpoint

    async def organization(self) -> str:
        """The id of the organization that requests are about; empty on v1."""
        return await self.client.organizations.find(self) if self.key.api == "v3" else ""

    async def path_ids(self, endpoint: Endpoint, ids: Mapping[str, str]) -> Mapping[str, str]:
        """The ids of the path, with the organization where the path names it."""
        self.check_key()
        if not endpoint.needs_organization:
            return ids
        return {**ids, "org_id": await self.organization()}

    def check_key(self) -> None:
        """Raises BadKey for a key that need not be sent to know that it is wrong."""
        if self.key.state != "usable":
            raise BadKey(KEY_PROBLEMS[self.key.state], self.client.key_advice)

    async def send(
        self,
        operation: HasEndpoints,
        returns: type[T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | BaseModel | None = None,
        private: bool = False,
        on_sent: OnSent | None = None,
        **ids: str,
    ) -> T:
        """Send the operation's request and decode the response as `returns`.

        `ids` fill the placeholders of the path. A model as body is sent with the names of this
        call's API, without the fields that were not set. `private` keeps Devin's words about the
        body out of errors. `on_sent` receives the task of a write. Raises one of errors.py.
        """
        endpoint = self.endpoint(operation)
        if isinstance(body, BaseModel):
            body = body.model_dump(mode="json", by_alias=endpoint.api == "v1", exclude_unset=True)
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if content is None else {"content-type": "application/json"}
        request, state = self.build_request(
            endpoint,
            await self.path_ids(endpoint, ids),
            query=query,
            content=content,
            headers=headers,
        )
        if endpoint.is_read:
            return await self._in_time(
                self._exchange(request, state, returns, body, private=private), state
            )
        write = self._notifying(request, state, returns, body, ids, private=private)
        return await self._in_time(
            self.client.pending_writes.run_detached(state, write, on_sent), state
        )

    async def upload(
        self, operation: HasEndpoints, returns: type[T], name: str, data: BinaryIO, media_type: str
    ) -> T:
        """Send a file as the multipart field `file`. Closes it when the request has ended, which
        may be after the call.
        """
        endpoint = self.endpoint(operation)
        try:
            request, state = self.build_request(
                endpoint,
                await self.path_ids(endpoint, {}),
                files={"file": (name, data, media_type)},
            )
        except DevinError:
            data.close()
            raise
        write = self._notifying(request, state, returns, None, {}, private=True)
        return await self._in_time(
            self.client.pending_writes.run_detached(
                state, write, lambda task: task.add_done_callback(lambda _: data.close())
            ),
            state,
        )

    def build_request(
        self,
        endpoint: Endpoint,
        ids: Mapping[str, str],
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        **content: Any,
    ) -> tuple[httpx.Request, RequestState]:
        """Build a request without sending it.

        Raises BadKey if the key's shape is wrong, Invalid if an id is not one path segment.
        """
        path = endpoint.path(ids)
        self.check_key()
        parameters = {**endpoint.query, **(query or {})}
        state = RequestState(
            endpoint,
            self.deadline,
            self.client.read_timeout,
            self.client.memory.hold(),
            self.report,
            stream=stream,
        )
        # Built directly: AsyncClient.build_request would parse and merge URL and headers again.
        request = httpx.Request(
            endpoint.method,
            _parse_url(self.client.base_url + path),
            params={name: value for name, value in parameters.items() if value is not None} or None,
            headers={**HEADERS, "authorization": f"Bearer {self.key.text}", **(headers or {})},
            extensions={"state": state},
            **content,
        )
        return request, state

    async def _notifying(
        self,
        request: httpx.Request,
        state: RequestState,
        returns: type[T],
        body: object,
        ids: Mapping[str, str],
        *,
        private: bool,
    ) -> T:
        write = WriteEvent(self.key.tenant, state.endpoint.operation_id, ids)
        try:
            with self.client.pending_writes.notify_when_done(state, write):
                return await self._exchange(request, state, returns, body, private=private)
        except asyncio.CancelledError:
            if state.sent or state.may_have_arrived:
                raise
            # Whoever follows this task must know that nothing was changed.
            raise NotSent("The call was cancelled before its request was sent.") from None

    async def _exchange(
        self,
        request: httpx.Request,
        state: RequestState,
        returns: type[T],
        body: object,
        *,
        private: bool,
    ) -> T:
        fingerprint, failure = self.key.fingerprint, None
        try:
            async with self.client.key_checks.request(fingerprint):
                async with self.client.pools.transport(fingerprint) as transport:
                    response = await self.deliver(transport, request, state)
                if not response.is_success:
                    failure = await self.failure(response, state, body, private=private)
                    del response  # an error that is kept would keep this frame
                    raise failure
            try:
                return await decode_response(returns, response.content)
            except ValueError:
                failure = _unreadable(response, state.endpoint)
            del response
            raise failure
        finally:
            state.memory.release()

    async def _in_time(self, work: Awaitable[R], state: RequestState) -> R:
        try:
            async with asyncio.timeout(self.deadline.seconds_left()):
                return await work
        except TimeoutError:
            reason = f"did not answer within {self.deadline.span:.3g} seconds"
            raise no_response_error(state.endpoint, state, reason) from None

    async def deliver(
        self, transport: httpx.AsyncBaseTransport, request: httpx.Request, state: RequestState
    ) -> httpx.Response:
        """Send and return any response. Raises NotSent, ReplyLost or Broken if there is none."""
        try:
            return await transport.handle_async_request(request)
        except httpx.RequestError as error:
            error.request = request
            reason = describe_transport_error(error)
            raise no_response_error(state.endpoint, state, reason) from None

    async def failure(
        self, response: httpx.Response, state: RequestState, body: object, *, private: bool
    ) -> DevinError:
        """The error for a response that is not a success."""
        error, endpoint = (
            error_from_response(response, state, body, private=private),
            state.endpoint,
        )
        if endpoint.api == "v3" and isinstance(error, NotAllowed):
            if endpoint is GET_SELF.v3:
                error = BadKey("Devin does not accept this API key (403).", status=403)
            else:
                error = await self.client.organizations.explain_refusal(self, error, endpoint)
        if isinstance(error, BadKey):
            error.advice = self.client.key_advice
            self.client.key_checks.forget(self.key.fingerprint)
            self.client.pools.refuse(self.key.fingerprint)
        return error


def _unreadable(response: httpx.Response, endpoint: Endpoint) -> DevinError:
    is_page = is_web_page(response)
    message = (
        "Devin answered with a web page instead of data (a proxy in between?)."
        if is_page
        else "Devin answered with something that could not be read."
    )
    if endpoint.is_read:
        return Broken(message, status=response.status_code)
    return reply_lost(endpoint, message, response.status_code)


@lru_cache(maxsize=256)
def _parse_url(text: str) -> httpx.URL:
    """Cached: a session that is polled is requested again and again."""
    return httpx.URL(text)
