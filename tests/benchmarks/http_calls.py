"""The raw protocol over streamable HTTP: many callers at once, each with one connection."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks.contestants import IN_FLIGHT, SESSION, Contestant
from tests.benchmarks.raw_http import read_answer, request, run

START_SECONDS = 20


@contextmanager
def start_http(contestant: Contestant, log: Any) -> Iterator[int]:
    """The port of a server that accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [word.format(port=port) for word in contestant.http_command]
    process = subprocess.Popen(command, env=contestant.environment, stderr=log, stdout=log, cwd="/")
    try:
        _wait_for(port)
        run(_call(port, contestant.tool, 2 * IN_FLIGHT))
        yield port
    finally:
        process.terminate()
        process.wait(20)


def http_calls(contestant: Contestant, port: int, count: int) -> None:
    seconds = run(_call(port, contestant.tool, count))
    contestant.http_rates.append(count / seconds)


async def _call(port: int, tool: str, count: int) -> float:
    """Make so many calls, and return the seconds that they took."""
    message = request(tool, {"session_id": SESSION}, f"127.0.0.1:{port}")
    left = count

    async def caller() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        while left > 0:
            left -= 1
            writer.write(message)
            status, body = await read_answer(reader)
            assert status == 200, body
            assert b'"isError":true' not in body, body
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


def _wait_for(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the server does not listen")
