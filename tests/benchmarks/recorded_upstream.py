"""`python -m tests.benchmarks.recorded_upstream`: answers for Devin what was recorded.

It prints its port. Standard input has one line of JSON: route, as `GET /v1/sessions`, to the body
of its answer. A route that was not recorded gets the answer of the longest one that it begins with.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from functools import lru_cache

from tests.benchmarks.raw_http import run

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class RecordedUpstream:
    def __init__(self, bodies: dict[str, str]) -> None:
        self._bodies = bodies
        self._answer = lru_cache(maxsize=10_000)(self._find)

    def _find(self, route: bytes) -> bytes:
        text = route.decode()
        recorded = max((name for name in self._bodies if text.startswith(name)), key=len)
        body = self._bodies[recorded].encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        return head % len(body) + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if length := LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                writer.write(self._answer(head[: head.index(b" HTTP/")]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


async def main() -> None:
    upstream = RecordedUpstream(json.loads(sys.stdin.readline()))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    run(main())
