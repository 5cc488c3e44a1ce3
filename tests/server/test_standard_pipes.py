"""Lines from a pipe, and texts to one, without a thread."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.to_thread
import pytest

from devin_mcp.server.standard_pipes import MAX_WAITING_BYTES, InputLines, OutputPipe
from tests.clock import HANG_SECONDS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no event loop waits for a pipe")

Ends = tuple[int, int]


def sockets() -> Ends:
    """Node gives the programs that it starts sockets instead of pipes."""
    left, right = socket.socketpair()
    return left.detach(), right.detach()


@pytest.fixture(params=[os.pipe, sockets], ids=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """The end to read from, and the end to write to."""
    make: Callable[[], Ends] = request.param
    read_end, write_end = make()
    yield read_end, write_end
    for end in (read_end, write_end):
        try:
            os.close(end)
        except OSError:
            continue


@pytest.fixture
async def lines(ends: Ends) -> AsyncIterator[InputLines]:
    reader = InputLines(ends[0])
    with anyio.fail_after(HANG_SECONDS):
        yield reader
    reader.close()


async def test_lines_are_read_however_they_arrive(ends: Ends, lines: InputLines) -> None:
    for part in (b"one\ntw", b"o\n", b"\r", b"\nthr", b"ee", b" \xff"):
        os.write(ends[1], part)
        await asyncio.sleep(0)
    os.close(ends[1])
    assert [line async for line in lines] == ["one", "two", "\r", "three \ufffd"]


async def test_line_of_many_megabytes_is_read(ends: Ends, lines: InputLines) -> None:
    long = b"x" * 10_000_000

    def write() -> None:
        rest = memoryview(long + b"\nend\n")
        while rest:
            rest = rest[os.write(ends[1], rest) :]
        os.close(ends[1])

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, write)
        read = [line async for line in lines]
    assert [len(line) for line in read] == [10_000_000, 3]


async def test_lines_that_nobody_handles_are_left_in_the_pipe(
    ends: Ends, lines: InputLines
) -> None:
    """Otherwise a client that sends faster than calls are answered would fill the memory."""
    line = b"y" * 999 + b"\n"
    os.write(ends[1], line)
    assert len(await anext(lines)) == 999
    os.set_blocking(ends[1], False)
    written = 0
    for _ in range(20 * MAX_WAITING_BYTES // len(line)):
        try:
            written += os.write(ends[1], line)
        except BlockingIOError:
            await asyncio.sleep(0.001)
            if written > MAX_WAITING_BYTES and not lines_are_read(lines):
                break
    assert written < 3 * MAX_WAITING_BYTES
    count = 0
    while count < written // len(line):
        await anext(lines)
        count += 1


def lines_are_read(lines: InputLines) -> bool:
    return lines._is_reading  # noqa: SLF001 - nothing else tells it from a slow reader


async def test_long_text_waits_for_its_reader(ends: Ends) -> None:
    read_end, write_end = ends
    os.set_blocking(write_end, False)
    text = "ä" * 1_000_000 + "\n"
    received = bytearray()

    def read() -> None:
        while len(received) < len(text.encode()):
            received.extend(os.read(read_end, 50_000))

    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(OutputPipe(write_end).write, text)
            await asyncio.sleep(0.01)  # the pipe is full now
            group.start_soon(anyio.to_thread.run_sync, read)
    assert received.decode() == text


async def test_text_that_nobody_reads_any_more_is_an_error(ends: Ends) -> None:
    read_end, write_end = ends
    os.set_blocking(write_end, False)
    os.close(read_end)
    with pytest.raises(OSError, match=r"[Bb]roken pipe"):
        await OutputPipe(write_end).write("x")


async def test_waiting_writer_is_told_when_its_reader_leaves(ends: Ends) -> None:
    read_end, write_end = ends
    os.set_blocking(write_end, False)
    with anyio.fail_after(HANG_SECONDS), pytest.raises(OSError, match=r"[Bb]roken|reset"):
        writing = asyncio.ensure_future(OutputPipe(write_end).write("x" * 5_000_000))
        await asyncio.sleep(0.01)
        os.close(read_end)
        await writing
