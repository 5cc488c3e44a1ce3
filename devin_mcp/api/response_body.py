"""Reads response bodies within bounds, in small steps.

httpx inflates each chunk at once, however much comes of it, and accepts chained codings such as
`gzip, gzip`.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import AsyncIterator

import httpx

from devin_mcp.api.json_scan import JsonScanner, TooManyValues
from devin_mcp.api.memory import MIB, MemoryExceeded
from devin_mcp.api.request_state import RequestState

MAX_RESPONSE_BYTES = 64 * MIB
"""After decompression: 5,000 notes of 10 KB."""
MAX_RESPONSE_VALUES = 300_000
"""JSON values of a response: decoding more would stop all other calls for too long."""
MAX_RESPONSE_OBJECTS = 12_000
"""Of these, objects: each row is converted, compared and sorted."""
UNSCANNED_RESPONSE_BYTES = 16 * 1024
"""A smaller response can exceed no bound of values, and cannot have a number that takes long."""
RESPONSE_COPIES = 3
"""A response is held as bytes, and decoded as text or objects."""
UNCOUNTED_RESPONSE_BYTES = 256 * 1024
"""Smaller responses do not count against the memory budget: a write that was carried out must not
seem to have failed."""
ACCEPT_ENCODING = "gzip"
STEP_BYTES = 128 * 1024
"""Inflated at once; then other tasks run."""
_GZIP_WBITS = zlib.MAX_WBITS | 16


class ResponseNotHeld(httpx.DecodingError):
    """The response does not fit into the memory budget now."""


async def read_body(response: httpx.Response, state: RequestState) -> None:
    """Like `response.aread()`, but bounded in bytes, in values and by the process's memory."""
    body, size = io.BytesIO(), 0  # not a list of parts, each of which may be a single byte
    scanner = JsonScanner(MAX_RESPONSE_VALUES, MAX_RESPONSE_OBJECTS)
    is_small = 0 <= _plain_length(response) <= UNSCANNED_RESPONSE_BYTES
    async for part in decoded_parts(response):
        size += len(part)
        if size > MAX_RESPONSE_BYTES:
            raise httpx.DecodingError("too large")
        try:
            if not is_small:
                scanner.feed(part)
            if size > UNCOUNTED_RESPONSE_BYTES:
                state.memory.add(len(part) * RESPONSE_COPIES)
        except TooManyValues:
            raise httpx.DecodingError("too many values") from None
        except MemoryExceeded:
            raise ResponseNotHeld("no memory left") from None
        body.write(part)
    response._content = body.getvalue()  # noqa: SLF001 - httpx has no bounded read


def _plain_length(response: httpx.Response) -> int:
    """Bytes of the body, as the server has announced; -1 if it did not, or if it is compressed."""
    headers = response.headers
    if "content-encoding" in headers:
        return -1
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else -1


async def decoded_parts(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in parts of at most STEP_BYTES, or as they arrive.

    Raises httpx.DecodingError for another coding than gzip, for chained codings and damaged data.
    """
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding in {"gzip", "x-gzip"}:
        async for part in _gunzip(response):
            yield part
    elif coding in {"", "identity"}:
        async for part in response.aiter_raw():
            yield part
    else:
        raise httpx.DecodingError("unsupported content coding")


async def _gunzip(response: httpx.Response) -> AsyncIterator[bytes]:
    inflater = zlib.decompressobj(_GZIP_WBITS)
    async for data in response.aiter_raw():  # to its end, so that the connection can be used again
        pending, part = data, b""
        while pending or part:
            try:
                part = inflater.decompress(pending, STEP_BYTES)
            except zlib.error:
                raise httpx.DecodingError("damaged gzip") from None
            pending = inflater.unconsumed_tail
            if part:
                yield part
                await asyncio.sleep(0)
        if inflater.unused_data:
            raise httpx.DecodingError("data after the end of gzip")
    if not inflater.eof:
        raise httpx.DecodingError("truncated gzip")
