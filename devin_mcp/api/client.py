"""The client of Devin's API: the state of the process (DevinClient), and one call with its key and
deadline (ApiCall).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from devin_mcp.api.clock import Clock, Deadline, RealClock
from devin_mcp.api.connections import HEADERS, ConnectionPools, app_url, base_url
from devin_mcp.api.decoding import decode
from devin_mcp.api.endpoint import Endpoint, HasEndpoint
from devin_mcp.api.error_mapping import (
    describe_transport_error,
    error_from_response,
    no_response_error,
    reply_lost,
)
from devin_mcp.api.pending_writes import OnSent, PendingWrites, WriteEvent
from devin_mcp.api.request_state import ReportProgress, RequestState
from devin_mcp.errors import BadKey, Broken, DevinError
from devin_mcp.keys import KEY_PROBLEMS, DevinKey
from devin_mcp.observability.redaction import redactor
from devin_mcp.settings import CALL_DEADLINE_SECONDS, Settings
from devin_mcp.settings.parsers import LOOPBACK

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

SHUTDOWN_GRACE_SECONDS = 10.0
"""Time for requests on the wire when the server stops."""


class DevinClient:
    """Connections to Devin and the writes in progress; one per process."""

    def __init__(
        self,
        settings: Settings,
        *,
        app: Any = None,
        clock: Clock | None = None,
        call_deadline: float = CALL_DEADLINE_SECONDS,
        key_advice: str = BadKey.advice_by_default,
    ) -> None:
        """`app` is an ASGI application to call instead of the network (the sandbox).

        `key_advice` is shown to a caller without a usable key: where to create one and where to
        set it.
        """
        self.clock: Clock = clock or RealClock()
        self.pools = ConnectionPools(settings, app, self.clock)
        self.pending_writes = PendingWrites()
        self.base_url = base_url(settings)
        self.app_url = app_url(settings)
        self.read_timeout = settings.timeout
        self.call_deadline = call_deadline
        self.key_advice = key_advice
        self.is_local = app is not None or urlsplit(self.base_url).hostname in LOOPBACK
        """True if no request leaves the machine, so plain http is acceptable."""
        redactor.hide([settings.api_key])

    async def aclose(self, grace: float = SHUTDOWN_GRACE_SECONDS) -> None:
        """Let writes on the wire end within `grace` seconds, then close the connections."""
        await self.pending_writes.aclose(grace)
        await self.pools.aclose()


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

    async def send(
        self,
        operation: HasEndpoint,
        returns: type[T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        private: bool = False,
        on_sent: OnSent | None = None,
        **ids: str,
    ) -> T:
        """Send the operation's request and decode the response as `returns`.

        `ids` fill the placeholders of the path. `private` keeps Devin's words about the body out of
        errors. `on_sent` receives the task of a write. Raises one of errors.py.
        """
        endpoint = endpoint_of(operation)
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if content is None else {"content-type": "application/json"}
        request, state = self.build_request(
            endpoint, ids, query=query, content=content, headers=headers
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
        self, operation: HasEndpoint, returns: type[T], name: str, data: BinaryIO, media_type: str
    ) -> T:
        """Send a file as the multipart field `file`. Closes it when the request has ended, which
        may be after the call.
        """
        endpoint = endpoint_of(operation)
        try:
            request, state = self.build_request(
                endpoint, {}, files={"file": (name, data, media_type)}
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
        if self.key.state != "usable":
            raise BadKey(KEY_PROBLEMS[self.key.state], self.client.key_advice)
        state = RequestState(
            endpoint, self.deadline, self.client.read_timeout, self.report, stream=stream
        )
        # Built directly: AsyncClient.build_request would parse and merge URL and headers again.
        request = httpx.Request(
            endpoint.method,
            _parse_url(self.client.base_url + path),
            params=None
            if query is None
            else {name: value for name, value in query.items() if value is not None},
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
        write = WriteEvent(self.key.fingerprint, state.endpoint.operation_id, ids)
        with self.client.pending_writes.notify_when_done(state, write):
            return await self._exchange(request, state, returns, body, private=private)

    async def _exchange(
        self,
        request: httpx.Request,
        state: RequestState,
        returns: type[T],
        body: object,
        *,
        private: bool,
    ) -> T:
        async with self.client.pools.client(self.key.fingerprint) as http:
            response = await self.deliver(http, request, state)
        if not response.is_success:
            raise self.failure(response, state.endpoint, body, private=private)
        try:
            return decode(returns, response.content)
        except ValueError:
            raise _unreadable(response, state.endpoint) from None

    async def _in_time(self, work: Awaitable[R], state: RequestState) -> R:
        try:
            async with asyncio.timeout(self.deadline.seconds_left()):
                return await work
        except TimeoutError:
            reason = f"did not answer within {self.deadline.span:g} seconds"
            raise no_response_error(state.endpoint, state, reason) from None

    async def deliver(
        self, http: httpx.AsyncClient, request: httpx.Request, state: RequestState
    ) -> httpx.Response:
        """Send and return any response. Raises NotSent, ReplyLost or Broken if there is none."""
        try:
            return await http.send(request, stream=state.stream)
        except httpx.RequestError as error:
            reason = describe_transport_error(error)
            raise no_response_error(state.endpoint, state, reason) from None
        except (httpx.InvalidURL, ValueError):  # httpx parses a redirect that nobody follows
            reason = "redirected to an invalid URL"
            raise no_response_error(state.endpoint, state, reason) from None

    def failure(
        self, response: httpx.Response, endpoint: Endpoint, body: object, *, private: bool
    ) -> DevinError:
        """The error for a response that is not a success."""
        error = error_from_response(response, endpoint, body, private=private)
        if isinstance(error, BadKey):
            error.advice = self.client.key_advice
        return error


def endpoint_of(operation: HasEndpoint) -> Endpoint:
    """The operation's endpoint. Raises TypeError for a workflow, which has none."""
    if operation.v1 is None:
        raise TypeError("a workflow has no endpoint of its own")
    return operation.v1


def _unreadable(response: httpx.Response, endpoint: Endpoint) -> DevinError:
    is_page = "html" in response.headers.get("content-type", "")
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
