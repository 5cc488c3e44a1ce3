"""Response bodies are read within bounds of bytes, values and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from contextlib import suppress

import pytest

from devin_mcp.api.json_scan import JsonScanner, TooManyValues
from devin_mcp.api.memory import SMALL_BYTES, MemoryBudget, MemoryExceeded
from devin_mcp.api.response_body import MAX_RESPONSE_OBJECTS, MAX_RESPONSE_VALUES
from devin_mcp.keys import DevinApi
from devin_mcp.operations.text_file import STEP_CHARS, TextFile
from tests.conftest import Connect
from tests.server.http.process_memory import peak_mib
from tests.upstream import Exchange, Fault, Upstream, answer, head

TOO_LARGE = "too large or damaged"
PAGE = {"playbooks": [], "items": [], "has_next_page": False}


def gzip_bomb(layers: int, size: int = 64 << 20) -> bytes:
    """Zeros that were compressed so many times; with two layers a few hundred bytes."""
    data = bytes(size)
    for _ in range(layers):
        data = gzip.compress(data)
    return data


REFUSED: dict[str, Fault] = {
    "gzip twice": answer(200, gzip_bomb(2), content_encoding="gzip, gzip"),
    "gzip twice in two headers": answer(200, gzip_bomb(2), content_encoding="gzip,gzip"),
    "deflate": answer(200, zlib.compress(b"{}"), content_encoding="deflate"),
    "unknown coding": answer(200, b"{}", content_encoding="br"),
    "damaged": answer(200, b"not gzip", content_encoding="gzip"),
    "truncated": answer(200, gzip.compress(b"[" * 1000)[:-9], content_encoding="gzip"),
    "more after the end": answer(200, gzip.compress(b"{}") + b"x", content_encoding="gzip"),
    "80 MB of zeros": answer(200, gzip_bomb(1, 80 << 20), content_encoding="gzip"),
    "values": answer(200, b"[" + b"1," * MAX_RESPONSE_VALUES + b"1]"),
    "objects": answer(200, b'{"items": [' + b"{}," * MAX_RESPONSE_OBJECTS + b"{}]}"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_answer_out_of_bounds_is_refused_without_much_memory(
    connect: Connect, upstream: Upstream, api: DevinApi, case: str
) -> None:
    upstream.fail_operation("list_playbooks", REFUSED[case])
    before = peak_mib(os.getpid())
    async with connect(cache_ttl=0) as client:
        text = await client.error("list_playbooks")
        await client.ok("list_playbooks")
    assert TOO_LARGE in text
    assert len(upstream.sent("list_playbooks")) == 2, "it would be the same again"
    assert peak_mib(os.getpid()) - before < 120


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "identity", ""])
@pytest.mark.parametrize("size", [0, 1, 500_000])
async def test_answer_within_bounds_is_read(
    connect: Connect, upstream: Upstream, api: DevinApi, coding: str, size: int
) -> None:
    body = json.dumps({**PAGE, "more": "x" * size}).encode()
    data = gzip.compress(body) if "gzip" in coding.lower() else body
    upstream.fail_operation("list_playbooks", answer(200, data, content_encoding=coding))
    async with connect(cache_ttl=0) as client:
        assert (await client.ok("list_playbooks"))["playbooks"] == []


async def test_gzip_leaves_the_connection_usable(connect: Connect, upstream: Upstream) -> None:
    compressed = gzip.compress(json.dumps(PAGE).encode())
    upstream.fail("GET", ".*", *[answer(200, compressed, content_encoding="gzip")] * 3)
    async with connect(cache_ttl=0) as client:
        for _ in range(3):
            await client.ok("list_playbooks")
        assert upstream.connections == 1


async def test_answer_in_single_bytes_takes_no_more_memory(
    connect: Connect, upstream: Upstream
) -> None:
    async def drip(exchange: Exchange) -> None:
        body = json.dumps({**PAGE, "more": "x" * 20_000}).encode()
        exchange.writer.write(head(200, {"content-type": "x", "transfer-encoding": "chunked"}))
        for byte in body:
            exchange.writer.write(b"1\r\n%c\r\n" % byte)
        exchange.writer.write(b"0\r\n\r\n")
        with suppress(ConnectionError):
            await exchange.writer.drain()

    upstream.fail_operation("list_playbooks", drip)
    before = peak_mib(os.getpid())
    async with connect(cache_ttl=0) as client:
        assert (await client.ok("list_playbooks"))["playbooks"] == []
    assert peak_mib(os.getpid()) - before < 20


def marks_outside_strings(text: str) -> int:
    """A slow and simple reference."""
    count, in_string, is_escaped = 0, False, False
    for char in text:
        if in_string:
            in_string = is_escaped or char != '"'
            is_escaped = not is_escaped and char == "\\"
        elif char == '"':
            in_string = True
        else:
            count += char in ",:[{"
    return count


@pytest.mark.parametrize("part_size", [1, 2, 3, 7, 100])
def test_values_are_counted_outside_of_strings_only(part_size: int) -> None:
    for number in range(300):
        pieces = ['\\"', "\\", '"', ",", "[", "{", ":", "x", "\\\\", "é"]
        strings = [pieces[(number * step) % len(pieces)] * (step % 3) for step in range(1, 9)]
        text = json.dumps({"".join(strings): strings, "b": [strings, {}]}, ensure_ascii=False)
        data, scanner = text.encode(), JsonScanner(10**9)
        for start in range(0, len(data), part_size):
            scanner.feed(data[start : start + part_size])
        assert scanner.values == marks_outside_strings(text)


def test_scanner_stops_at_the_bound() -> None:
    JsonScanner(3).feed(b"[1,2,3]")
    with pytest.raises(TooManyValues):
        JsonScanner(3).feed(b"[1,2,3,4]")
    with pytest.raises(TooManyValues):
        JsonScanner(99, max_objects=1).feed(b"[{},{}]")


def test_budget_counts_until_the_last_user_has_ended() -> None:
    budget = MemoryBudget(10 * SMALL_BYTES)
    write, other = budget.hold(), budget.hold()
    write.add(6 * SMALL_BYTES)
    write.retain()
    write.release()
    with pytest.raises(MemoryExceeded):
        other.add(2 * SMALL_BYTES)
    write.release()
    other.add(2 * SMALL_BYTES)
    assert budget.used == 2 * SMALL_BYTES


def test_large_calls_leave_room_for_small_ones() -> None:
    budget = MemoryBudget(8 * SMALL_BYTES)
    large = budget.hold()
    with pytest.raises(MemoryExceeded):
        for _ in range(8):
            large.add(SMALL_BYTES)
    for _ in range(2):
        budget.hold().add(SMALL_BYTES)


@pytest.mark.parametrize("text", ["", "x", "é" * 10, "a😀" * STEP_CHARS, "x" * STEP_CHARS])
@pytest.mark.parametrize("size", [1000, 64 * 1024])
def test_text_file_reads_as_its_bytes(text: str, size: int) -> None:
    data = text.encode()
    file = io.BufferedReader(TextFile(text))
    for _ in range(2):
        assert file.seek(0, io.SEEK_END) == len(data)
        assert file.seek(0) == 0
        assert b"".join(iter(lambda: file.read(size), b"")) == data
        assert file.seek(0, io.SEEK_CUR) == len(data)
