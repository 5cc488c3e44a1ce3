"""One Devin client: what lives as long as the process (`Api`), and a handle for each call (`Devin`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from devin_mcp.api.clock import CALL_DEADLINE, Clock, Deadline, RealClock
from devin_mcp.api.connections import HEADERS, ConnectionPools, app_url, base_url, fingerprint
from devin_mcp.api.decoding import read
from devin_mcp.api.error_mapping import refusal, trouble
from devin_mcp.api.models import NOWHERE, Route
from devin_mcp.api.pending_writes import OnSent, PendingWrites, WriteEvent
from devin_mcp.api.retry import ReportProgress, RequestState
from devin_mcp.errors import BadKey, Broken, DevinError, NotSent, ReplyLost
from devin_mcp.keys import key_state
from devin_mcp.observability.redaction import redactor
from devin_mcp.settings.parsers import LOOPBACK
from devin_mcp.settings.settings import Settings

T = TypeVar("T", bound=BaseModel)
R = TypeVar("R")

_UNANSWERED = frozenset({408, 499})
"""What gateways say when the answer took too long, though the request had been passed on."""

GRACE = 10.0
"""Seconds that requests already on the wire get when the server ends."""


class DevinClient:
    """The connections, and the writes that are under way."""

    def __init__(
        self,
        settings: Settings,
        *,
        app: Any = None,
        clock: Clock | None = None,
        deadline: float = CALL_DEADLINE,
        about_keys: str = BadKey.advice_by_default,
    ) -> None:
        """`app` is an ASGI application to talk to instead of the network (the sandbox).

        `about_keys` is what somebody without a good key is told: where one comes from and where it goes.
        """
        self.timeout = settings.timeout
        self.about_keys = about_keys
        self._app = app
        self.clock: Clock = clock or RealClock()
        self._deadline = deadline
        self.pools = ConnectionPools(settings, app, self.clock)
        self.writes = PendingWrites()
        self.base_url = base_url(settings)
        self.app_url = app_url(settings)
        redactor.hide([settings.api_key])

    def devin(self, key: str, tell: ReportProgress | None = None) -> ApiCall:
        """A handle for one call, with the call's deadline; `key` is Devin's, checked when something is sent.

        `tell` is told in a sentence when there is waiting.
        """
        return ApiCall(self, key, Deadline.after(self.clock, self._deadline), tell)

    @property
    def is_local(self) -> bool:
        """Plain http is fine where nothing leaves the machine."""
        return self._app is not None or urlsplit(self.base_url).hostname in LOOPBACK

    async def aclose(self, grace: float = GRACE) -> None:
        """Let writes on the wire end within `grace` seconds, then close the connections."""
        await self.writes.aclose(grace)
        await self.pools.aclose()


@dataclass(frozen=True)
class ApiCall:
    """What an operation talks through: one call, one key, one deadline, and the route of the operation."""

    api: DevinClient
    key: str = field(repr=False)
    deadline: Deadline
    tell: ReportProgress | None = None
    route: Route = NOWHERE
    if_lost: str | None = None
    began: OnSent | None = field(default=None, repr=False)
    """Given the task of each write, which may outlive this call."""

    def on(self, route: Route, if_lost: str | None) -> ApiCall:
        return replace(self, route=route, if_lost=if_lost)

    @property
    def owner(self) -> str:
        """Whose this is, without the key."""
        return fingerprint(self.key)

    def apart(self) -> ApiCall:
        """The same for work that several callers share: a deadline of its own, and nobody to tell."""
        return self.api.devin(self.key).on(self.route, self.if_lost)

    def earlier(self, seconds: float) -> ApiCall:
        """The same with less time, to keep some of it for what comes after."""
        return replace(self, deadline=self.deadline.earlier(seconds))

    def within(self, seconds: float) -> ApiCall:
        """The same for something that must not take longer than this."""
        return self.earlier(max(0.0, self.deadline.left() - seconds))

    def web_url(self, session_id: str) -> str | None:
        """The session's page: the id without its prefix (v1.md §3.3). None where the web app's address is unknown."""
        return (
            f"{self.api.app_url}/sessions/{session_id.removeprefix('devin-')}"
            if self.api.app_url
            else None
        )

    def attachment_url(self, uuid: str, name: str) -> str | None:
        """Where an attachment is for Devin (v1.md §4). None where the web app's address is unknown."""
        return f"{self.api.app_url}/attachments/{uuid}/{quote(name)}" if self.api.app_url else None

    async def send(
        self,
        returns: type[T],
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        private: bool = False,
        **ids: str,
    ) -> T:
        """Send the operation's request and read the answer as `returns`.

        `ids` fill the route's places; `private` keeps Devin's own words about the body out of errors.
        Raises one of errors.py.
        """
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {} if content is None else {"content-type": "application/json"}
        request, sending = self._request(ids, query=query, content=content, headers=headers)
        return await self._exchange(request, sending, returns, body, ids, private=private)

    async def upload(
        self, returns: type[T], name: str, data: BinaryIO, media_type: str | None
    ) -> T:
        """Send a file as the multipart field `file`, and close it when that is over, which may be after the call."""
        try:
            request, sending = self._request(
                {}, files={"file": (name, data, media_type or "application/octet-stream")}
            )
        except DevinError:
            data.close()
            raise
        closing = replace(self, began=lambda task: task.add_done_callback(lambda _: data.close()))
        return await closing._exchange(request, sending, returns, None, {}, private=True)

    @asynccontextmanager
    async def download(self, **ids: str) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """The content type and the bytes of a file: Devin's redirect is followed at once and without the key."""
        request, sending = self._request(ids, stream=True)
        async with self.api.pools.client(self.owner) as client:
            response = await self._in_time(self._deliver(client, request, sending), sending)
            try:
                if response.is_redirect:
                    await response.aclose()
                    request, sending = self._presigned(response)
                    response = await self._in_time(self._deliver(client, request, sending), sending)
                if not response.is_success:
                    raise self._failure(response, None, private=True)
                try:
                    yield response.headers.get("content-type", ""), self._bytes(response)
                except BaseException as end:
                    _closed(sending, end)
                    raise
                _closed(sending, None)
            finally:
                await response.aclose()

    def _request(
        self,
        ids: Mapping[str, str],
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **parts: Any,
    ) -> tuple[httpx.Request, RequestState]:
        path = self.route.path(ids)
        self._check_key()
        sending = RequestState(
            str(self.route), self.deadline, self.api.timeout, self.tell, stream=stream
        )
        # Made directly: the client's own build_request would parse and merge URL and headers a second time.
        request = httpx.Request(
            self.route.method,
            _address(self.api.base_url + path),
            params=_query(parts.pop("query", None)),
            headers={**HEADERS, "authorization": f"Bearer {self.key}", **(headers or {})},
            extensions={"sending": sending},
            **parts,
        )
        return request, sending

    def _check_key(self) -> None:
        match key_state(self.key):
            case "missing":
                what = "There is no Devin API key, so nothing was sent."
            case "placeholder":
                what = "Where the Devin API key belongs is a placeholder that nobody filled in; nothing was sent."
            case "other_api":
                what = "This is a cog_ key. Those belong to the Organization API (v3), which is not served yet; v1 keys start with apk_."
            case "usable":
                return
        raise BadKey(what, self.api.about_keys)

    async def _exchange(
        self,
        request: httpx.Request,
        sending: RequestState,
        returns: type[T],
        sent: object,
        ids: Mapping[str, str],
        *,
        private: bool,
    ) -> T:
        async def work() -> T:
            with self.api.writes.telling(sending, WriteEvent(self.owner, self.route, ids)):
                async with self.api.pools.client(self.owner) as client:
                    response = await self._deliver(client, request, sending)
                if not response.is_success:
                    raise self._failure(response, sent, private=private)
                return self._read(returns, response)

        if not self.route.writes:
            return await self._in_time(work(), sending)
        return await self._in_time(
            self.api.writes.finish(sending, work(), str(self.route), self.began), sending
        )

    async def _in_time(self, work: Awaitable[R], sending: RequestState) -> R:
        try:
            async with asyncio.timeout(self.deadline.left()):
                return await work
        except TimeoutError:
            raise self._no_response_error(
                sending, f"did not answer within {self.deadline.span:g} seconds"
            ) from None

    async def _deliver(
        self, client: httpx.AsyncClient, request: httpx.Request, sending: RequestState
    ) -> httpx.Response:
        try:
            return await client.send(request, stream=sending.stream)
        except httpx.RequestError as error:
            raise self._no_response_error(sending, trouble(error)) from None
        except (
            httpx.InvalidURL,
            ValueError,
        ):  # httpx looks where a redirect leads, even if nobody follows it
            raise self._no_response_error(
                sending, "redirected to something that is no address"
            ) from None

    def _no_response_error(self, sending: RequestState, what: str) -> DevinError:
        """No answer: did it leave, and could it have changed something?"""
        if not (sending.left or sending.arrived):
            return NotSent(f"Devin {what}.")
        return self._lost(f"Devin {what}.") if self.route.writes else Broken(f"Devin {what}.")

    def _lost(self, what: str, status: int | None = None) -> DevinError:
        if self.route.method == "POST":
            return ReplyLost(
                f"{what} The request had left, so it may have been carried out.",
                self.if_lost,
                status=status,
            )
        return ReplyLost(
            what,
            "Whether it was carried out is unknown; sending the same again is safe.",
            status=status,
        )

    def _failure(self, response: httpx.Response, sent: object, *, private: bool) -> DevinError:
        status = response.status_code
        if status >= 500 and self.route.writes:
            return self._lost(f"Devin answered with a server error ({status}).", status)
        if status >= 500:
            return Broken(f"Devin answered with a server error ({status}).", status=status)
        if status in _UNANSWERED and self.route.method == "POST":
            return self._lost(f"A gateway gave up waiting for Devin ({status}).", status)
        if status < 400 and self.route.writes:  # 303 means that it was done
            return self._lost(f"Devin answered with an unexpected redirect ({status}).", status)
        if status < 400:
            return Broken(
                f"Devin answered with an unexpected redirect ({status}).",
                "Check DEVIN_BASE_URL.",
                status=status,
            )
        no = refusal(response, str(self.route), sent, private=private)
        return BadKey(no.what, self.api.about_keys, status=status) if isinstance(no, BadKey) else no

    def _read(self, returns: type[T], response: httpx.Response) -> T:
        try:
            return read(returns, response.content)
        except ValueError:
            page = "html" in response.headers.get("content-type", "")
            what = (
                "a web page instead of data (a proxy in between?)"
                if page
                else "something that could not be read"
            )
            if self.route.writes:
                raise self._lost(f"Devin answered with {what}.", response.status_code) from None
            raise Broken(f"Devin answered with {what}.", status=response.status_code) from None

    def _presigned(self, response: httpx.Response) -> tuple[httpx.Request, RequestState]:
        try:
            parts = httpx.URL(self.api.base_url).join(response.headers["location"] or "none:")
            host = parts.host
        except (httpx.InvalidURL, KeyError, ValueError):
            parts, host = httpx.URL("none:"), ""
        if not host or (
            parts.scheme != "https"
            and not (parts.scheme == "http" and self.api.is_local and host in LOOPBACK)
        ):
            raise Broken(
                "Devin redirected the download to an address that is not https.",
                "Nothing was fetched.",
            )
        sending = RequestState("GET presigned file", self.deadline, self.api.timeout, stream=True)
        return httpx.Request(
            "GET", parts, headers=HEADERS, extensions={"sending": sending}
        ), sending

    async def _bytes(self, response: httpx.Response) -> AsyncIterator[bytes]:
        chunks = response.aiter_bytes()
        try:
            while True:
                async with asyncio.timeout(self.deadline.left()):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk
        except TimeoutError:
            raise Broken(
                f"The download took longer than {self.deadline.span:g} seconds.",
                "Nothing was kept.",
            ) from None
        except httpx.RequestError as error:
            raise Broken(
                f"The download broke off: Devin {trouble(error)}.", "Nothing was kept; try again."
            ) from None


@lru_cache(maxsize=256)
def _address(text: str) -> httpx.URL:
    """Read once: a session that is followed is asked for again and again."""
    return httpx.URL(text)


def _closed(sending: RequestState, end: BaseException | None) -> None:
    if sending.closed is not None:
        sending.closed(
            None
            if end is None
            else "cancelled"
            if isinstance(end, asyncio.CancelledError)
            else type(end).__name__
        )


def _query(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return (
        None
        if values is None
        else {name: value for name, value in values.items() if value is not None}
    )
