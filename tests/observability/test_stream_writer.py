"""The log's stream when nobody reads it for a while, or never again."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from devin_mcp.observability import log, log_config
from devin_mcp.observability.stream_writer import MAX_PENDING_CHARS, WAIT_SECONDS, StreamWriter

EVENTS = 3 * MAX_PENDING_CHARS // 1000


@contextmanager
def pipe(*, blocking: bool = True) -> Iterator[tuple[int, StreamWriter]]:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, blocking)
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        writer = StreamWriter(stream)
        yield read_end, writer
        writer.close()


def test_slow_reader_gets_everything_in_order() -> None:
    lines = [f"{number} é\n" for number in range(20_000)]
    with pipe() as (read_end, writer):
        for line in lines:
            writer.write(line)
        text = b""
        while not text.endswith(lines[-1].encode()):
            text += os.read(read_end, 65536)
        os.close(read_end)
    assert text.decode() == "".join(lines)


def test_full_pipe_is_waited_for_once_and_briefly() -> None:
    with pipe() as (read_end, writer):
        writer.write("x" * 100_000)
        started = time.monotonic()
        writer.wait()
        waited = time.monotonic()
        writer.wait()
        assert waited - started >= WAIT_SECONDS
        assert time.monotonic() - waited < WAIT_SECONDS
        os.close(read_end)
        writer.wait()


def test_dropped_lines_are_counted_when_somebody_reads_again() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        log_config.configure("info", "json", stream)
        for _ in range(EVENTS):
            log.event("serving", url="x" * 1000)
        lines: list[str] = []
        with os.fdopen(read_end, encoding="utf-8") as reader:
            while not lines or '"no_key"' not in lines[-1]:
                lines.append(reader.readline())
                if len(lines) == MAX_PENDING_CHARS * 2 // 3 // 1000:
                    log.event("no_key")
        log_config.configure("error", "json", io.StringIO())
    (dropped,) = [json.loads(line) for line in lines if '"log_lines_dropped"' in line]
    assert dropped["lines"] + sum('"serving"' in line for line in lines) == EVENTS


def test_closed_reader_leaves_nothing_in_the_buffer_of_the_stream() -> None:
    """Flushing it at the end of the process would fail, and change the exit status to 120."""
    with pipe() as (read_end, writer):
        os.close(read_end)
        writer.write("x\n")
        writer.wait()
        assert writer.take_dropped_lines() == 0


def test_full_pipe_that_does_not_block_loses_nothing() -> None:
    """As a host may leave it."""
    text = "x" * 200_000 + "\n"
    with pipe(blocking=False) as (read_end, writer):
        writer.write(text)
        received = b""
        while not received.endswith(b"\n"):
            received += os.read(read_end, 65536)
        os.close(read_end)
    assert received.decode() == text
