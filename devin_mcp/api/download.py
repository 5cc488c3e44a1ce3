"""Downloads: Devin redirects to a presigned URL, which is fetched without the key (v1.md §4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from devin_mcp.api.call import ApiCall
from devin_mcp.api.connections import HEADERS
from devin_mcp.api.endpoint import Endpoint, HasEndpoints
from devin_mcp.api.error_mapping import describe_transport_error, no_response_error
from devin_mcp.api.request_state import RequestState
from devin_mcp.api.response_body import decoded_parts
from devin_mcp.api.retry import LOCATION
from devin_mcp.errors import Broken
from devin_mcp.settings.parsers import LOOPBACK

STORAGE = "The storage that Devin redirected the download to"
PRESIGNED_FILE = Endpoint(
    "presigned_file", "v1", "GET", "presigned file", retry_safe=True, owner=STORAGE
)
"""Not of Devin's API, so a refusal says nothing about the key."""
MAX_PORT = 65535


@asynccontextmanager
async def download(
    call: ApiCall, operation: HasEndpoints, **ids: str
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Yields the content type and the bytes of a file. Raises one of errors.py."""
    endpoint = call.endpoint(operation)
    request, state = call.build_request(endpoint, await call.path_ids(endpoint, ids), stream=True)
    async with call.client.pools.transport(call.key.fingerprint) as transport:
        async with call.client.key_checks.request(call.key.fingerprint):
            response = await _deliver(call, transport, request, state)
            if response.is_error:
                await response.aclose()
                raise await call.failure(response, state, None, private=True)
        try:
            if response.is_redirect and response.extensions[LOCATION]:
                await response.aclose()
                request, state = _presigned_request(call, response)
                response = await _deliver(call, transport, request, state)
            if not response.is_success and state.endpoint is PRESIGNED_FILE:
                raise _refused_by_storage(response)
            if not response.is_success:
                raise await call.failure(response, state, None, private=True)
            try:
                yield (
                    response.headers.get("content-type", ""),
                    _chunks(call, response, state.endpoint.owner),
                )
            except BaseException as end:
                cancelled = isinstance(end, asyncio.CancelledError)
                _log_closed(state, "cancelled" if cancelled else type(end).__name__)
                raise
            _log_closed(state, None)
        finally:
            await response.aclose()


async def _deliver(
    call: ApiCall,
    transport: httpx.AsyncBaseTransport,
    request: httpx.Request,
    state: RequestState,
) -> httpx.Response:
    try:
        async with asyncio.timeout(call.deadline.seconds_left()):
            return await call.deliver(transport, request, state)
    except TimeoutError:
        reason = f"did not answer within {call.deadline.span:g} seconds"
        raise no_response_error(state.endpoint, state, reason) from None
    finally:
        state.memory.release()  # of an error; a file is not held


def _presigned_request(
    call: ApiCall, response: httpx.Response
) -> tuple[httpx.Request, RequestState]:
    """The request for the address in `Location`, which must be https unless all is local."""
    try:
        url = httpx.URL(call.client.base_url).join(response.extensions[LOCATION])
        is_usable = bool(url.host) and (url.port is None or 0 < url.port <= MAX_PORT)
    except (httpx.InvalidURL, ValueError):
        is_usable = False
    if not is_usable:
        raise Broken("Devin redirected the download to an invalid address.", "Nothing was fetched.")
    is_local = url.scheme == "http" and call.client.is_local and url.host in LOOPBACK
    if url.scheme != "https" and not is_local:
        raise Broken(
            "Devin redirected the download to an address that is not https.", "Nothing was fetched."
        )
    state = RequestState(
        PRESIGNED_FILE,
        call.deadline,
        call.client.read_timeout,
        call.client.memory.hold(),
        stream=True,
    )
    return httpx.Request("GET", url, headers=HEADERS, extensions={"state": state}), state


def _refused_by_storage(response: httpx.Response) -> Broken:
    return Broken(
        f"{STORAGE} answered with {response.status_code}.",
        "Nothing was kept; its address expires, so try again.",
        status=response.status_code,
    )


async def _chunks(call: ApiCall, response: httpx.Response, owner: str) -> AsyncIterator[bytes]:
    """The parts of the file. `owner` is who sends them, for errors."""
    chunks = decoded_parts(response)
    try:
        while True:
            async with asyncio.timeout(call.deadline.seconds_left()):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk
    except TimeoutError:
        message = f"The download took longer than {call.deadline.span:g} seconds."
        raise Broken(message, "Nothing was kept.") from None
    except httpx.RequestError as error:
        message = f"The download broke off: {owner} {describe_transport_error(error)}."
        raise Broken(message, "Nothing was kept; try again.") from None


def _log_closed(state: RequestState, error: str | None) -> None:
    if state.on_closed is not None:
        state.on_closed(error)
