"""The cache: one per key, loaded once, invalidated by every write, bounded in size."""

from __future__ import annotations

import asyncio

import pytest

from devin_mcp.errors import Broken
from devin_mcp.operations.cache import Cache
from devin_mcp.operations.list_cursor import ListQuery
from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Exchange, Upstream, answer, slow


async def test_reads_send_no_request_until_the_ttl_ends(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(cache_ttl=30) as client:
        for _ in range(3):
            await client.resources()
            await client.read("devin://knowledge/note-0001")
        assert upstream.count("GET", "/v1/knowledge") == 1
        clock.skip(31)
        await client.read("devin://knowledge/note-0001")
    assert upstream.count("GET", "/v1/knowledge") == 2


async def test_ttl_of_zero_disables_the_cache(connect: Connect, upstream: Upstream) -> None:
    async with connect(cache_ttl=0) as client:
        await client.read("devin://knowledge/note-0001")
        await client.read("devin://knowledge/note-0001")
    assert upstream.count("GET", "/v1/knowledge") == 2


async def test_list_tool_reads_afresh_and_its_cursor_reads_the_cache(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("list_knowledge")
        await client.ok("list_knowledge")
        assert upstream.count("GET", "/v1/knowledge") == 2
        cursor = ListQuery("devin_list_knowledge", {}).encode(2)
        await client.ok("list_knowledge", cursor=cursor)
        await client.read("devin://knowledge/note-0002")
    assert upstream.count("GET", "/v1/knowledge") == 2


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_knowledge", {"name": "n", "body": "b", "trigger_description": "t"}),
        ("update_knowledge", {"note_id": "note-0001", "name": "n"}),
        ("delete_knowledge", {"note_id": "note-0001"}),
    ],
)
async def test_write_invalidates_the_cache(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, str]
) -> None:
    async with connect() as client:
        before = await client.read("devin://knowledge")
        await client.ok(tool, **arguments)
        assert await client.read("devin://knowledge") != before


async def test_lost_write_invalidates_the_cache_and_a_refused_one_does_not(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("POST", "/v1/knowledge", answer(422, {"detail": "no"}), answer(500))
    note = {"name": "n", "body": "b", "trigger_description": "t"}
    async with connect() as client:
        await client.read("devin://knowledge")
        await client.error("create_knowledge", **note)
        await client.read("devin://knowledge")
        assert upstream.count("GET", "/v1/knowledge") == 1
        await client.error("create_knowledge", **note)
        await client.read("devin://knowledge")
    assert upstream.count("GET", "/v1/knowledge") == 2


async def test_write_of_a_cancelled_call_invalidates_the_cache(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()

    async def late(exchange: Exchange) -> None:
        await gate.wait()
        done = await exchange.forward(exchange.seen)
        await exchange.reply(done.status_code, done.content, {"content-type": "application/json"})

    upstream.fail("PUT", "/v1/playbooks/.*", late)
    async with connect() as client:
        writing = asyncio.ensure_future(
            client("update_playbook", playbook_id="playbook-0001", title="Late")
        )
        while upstream.count("PUT") == 0:
            upstream.arrived.clear()
            await upstream.arrived.wait()
        writing.cancel()
        await asyncio.sleep(0.05)
        assert "Late" not in await client.read("devin://playbooks")
        gate.set()
        await asyncio.sleep(0.1)
        assert "Late" in await client.read("devin://playbooks")


async def test_read_that_overlaps_a_write_is_not_cached(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/knowledge", slow(gate))
    async with connect() as client:
        reading = asyncio.ensure_future(client.read("devin://knowledge"))
        await upstream.arrived.wait()
        await client.ok("create_knowledge", name="Brand new", body="b", trigger_description="t")
        gate.set()
        assert "Brand new" not in await reading
        assert "Brand new" in await client.read("devin://knowledge")


async def test_concurrent_reads_share_one_request(connect: Connect, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail("GET", "/v1/knowledge", slow(gate))
    async with connect() as client:
        reads = [
            asyncio.ensure_future(client.read("devin://knowledge/note-0001")) for _ in range(20)
        ]
        await upstream.arrived.wait()
        reads[0].cancel()  # who asked first may leave
        gate.set()
        texts = await asyncio.gather(*reads, return_exceptions=True)
    assert len({text for text in texts[1:] if isinstance(text, str)}) == 1
    assert upstream.count("GET", "/v1/knowledge") == 1


async def test_cached_value_survives_a_failed_refresh(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        before = await client.read("devin://knowledge")
        upstream.fail("GET", "/v1/knowledge", answer(500))
        await client.error("list_knowledge")
        assert await client.read("devin://knowledge") == before


async def test_error_is_cached_for_a_few_seconds(clock: AutoClock) -> None:
    cache, loads = Cache(30, clock), 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        if loads == 1:
            raise Broken("no")
        return "yes"

    for _ in range(3):
        with pytest.raises(Broken):
            await cache.get("me", "notes", load)
    assert loads == 1
    clock.skip(6)
    assert await cache.get("me", "notes", load) == "yes"
    assert await cache.get("you", "notes", load) == "yes"
    assert loads == 3, "another key never gets what one key read"


async def test_cache_size_is_bounded_per_key(clock: AutoClock) -> None:
    cache = Cache(30, clock)

    async def load() -> object:
        return object()

    first = await cache.get("0", "notes", load)
    of_another_key = await cache.get("them", "notes", load)
    for number in range(120):
        await cache.get("0", f"sessions/{number}", load)
    assert await cache.get("0", "notes", load) is first, "parts go first"
    assert await cache.get("them", "notes", load) is of_another_key, "nobody crowds others out"
    for number in range(700):
        await cache.get(str(number), "notes", load)
    assert await cache.get("them", "notes", load) is not of_another_key


async def test_load_after_a_cancelled_one_starts_anew() -> None:
    """A load that is being cancelled is nobody's any more; who joined it got a cancellation that was not theirs."""
    cache, gate, loads = Cache(30, AutoClock()), asyncio.Event(), 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        try:
            await gate.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # as an HTTP client does that closes its connection
            raise
        return "notes"

    cancelled = asyncio.ensure_future(cache.get("me", "knowledge", load, fresh=True))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0)
    later = asyncio.ensure_future(cache.get("me", "knowledge", load))
    await asyncio.sleep(0)
    gate.set()
    assert await later == "notes"
    assert loads == 2
