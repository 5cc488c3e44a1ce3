"""The cache: one per key, loaded once, invalidated by every write, bounded in size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from devin_mcp.api.memory import MIB
from devin_mcp.api.sizes import size_of
from devin_mcp.errors import Broken
from devin_mcp.operations.cache import MAX_BYTES, Cache
from devin_mcp.operations.sessions.conversation import Message
from devin_mcp.operations.sessions.conversation_cache import Conversation
from tests.clock import AutoClock
from tests.conftest import Connect, eventually
from tests.upstream import Fault, Upstream, answer, delay_reply, delay_work

pytestmark = pytest.mark.usefixtures("api")


async def test_reads_send_no_request_until_the_ttl_ends(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(cache_ttl=30) as client:
        for _ in range(3):
            await client.resources()
            await client.read("devin://knowledge/note-0001")
        assert len(upstream.sent("list_knowledge")) == 1
        clock.skip(31)
        await client.read("devin://knowledge/note-0001")
    assert len(upstream.sent("list_knowledge")) == 2


async def test_ttl_of_zero_disables_the_cache(connect: Connect, upstream: Upstream) -> None:
    async with connect(cache_ttl=0) as client:
        await client.read("devin://knowledge/note-0001")
        await client.read("devin://knowledge/note-0001")
    assert len(upstream.sent("list_knowledge")) == 2


async def test_list_tool_reads_afresh_and_its_cursor_reads_the_cache(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(result_limit=2000) as client:
        await client.ok("list_knowledge", body="full")
        page = await client.ok("list_knowledge", body="full")
        assert len(upstream.sent("list_knowledge")) == 2
        await client.ok("list_knowledge", body="full", cursor=page["next_cursor"])
        await client.read("devin://knowledge/note-0002")
    assert len(upstream.sent("list_knowledge")) == 2


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("create_knowledge", {"name": "n", "body": "b", "trigger": "t"}),
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


@pytest.mark.parametrize(
    ("fault", "reads"), [(answer(422, {"detail": "no"}), 1), (answer(500), 2)], ids=["422", "500"]
)
async def test_failed_write_invalidates_the_cache_unless_it_was_refused(
    connect: Connect, upstream: Upstream, fault: Fault, reads: int
) -> None:
    upstream.fail_operation("create_knowledge", fault)
    async with connect() as client:
        await client.read("devin://knowledge")
        await client.error("create_knowledge", name="n", body="b", trigger="t")
        await client.read("devin://knowledge")
    assert len(upstream.sent("list_knowledge")) == reads


async def test_write_of_a_cancelled_call_invalidates_the_cache(
    connect: Connect, upstream: Upstream, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("update_playbook", delay_work(gate))
    async with connect() as client:
        writing = asyncio.ensure_future(
            client("update_playbook", playbook_id="playbook-0001", title="Late")
        )
        await upstream.wait_for_operation("update_playbook")
        writing.cancel()
        await eventually(lambda: any(line.get("outcome") == "cancelled" for line in logs()))
        assert "Late" not in await client.read("devin://playbooks")
        gate.set()
        await eventually(lambda: any(line["event"] == "late_reply" for line in logs()))
        assert "Late" in await client.read("devin://playbooks")


async def test_read_that_overlaps_a_write_is_not_cached(
    connect: Connect, upstream: Upstream
) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("list_knowledge", delay_reply(gate))
    async with connect() as client:
        reading = asyncio.ensure_future(client.read("devin://knowledge"))
        await upstream.wait_for_operation("list_knowledge")
        await client.ok("create_knowledge", name="Brand new", body="b", trigger="t")
        gate.set()
        assert "Brand new" not in await reading
        assert "Brand new" in await client.read("devin://knowledge")


async def test_concurrent_reads_share_one_request(connect: Connect, upstream: Upstream) -> None:
    gate = asyncio.Event()
    upstream.fail_operation("list_knowledge", delay_reply(gate))
    async with connect() as client:
        reads = [
            asyncio.ensure_future(client.read("devin://knowledge/note-0001")) for _ in range(20)
        ]
        await upstream.wait_for_operation("list_knowledge")
        reads[0].cancel()  # the others go on without the first
        gate.set()
        texts = await asyncio.gather(*reads[1:])
    assert len(set(texts)) == 1
    assert len(upstream.sent("list_knowledge")) == 1


async def test_cached_value_survives_a_failed_refresh(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        before = await client.read("devin://knowledge")
        upstream.fail_operation("list_knowledge", answer(500))
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
            await cache.get("first key", "notes", load)
    assert loads == 1
    clock.skip(6)
    assert await cache.get("first key", "notes", load) == "yes"
    assert loads == 2


async def test_each_key_has_its_own_cache(clock: AutoClock) -> None:
    cache, loads = Cache(30, clock), 0

    async def load() -> int:
        nonlocal loads
        loads += 1
        return loads

    assert await cache.get("first key", "notes", load) == 1
    assert await cache.get("second key", "notes", load) == 2
    assert await cache.get("first key", "notes", load) == 1


async def load_bytes(size: int) -> bytes:
    return bytes(size)


async def test_cache_is_bounded_in_bytes_per_key(clock: AutoClock) -> None:
    """Many values of one key evict its oldest, and nothing of another key."""
    cache = Cache(30, clock, max_bytes_per_tenant=MIB)
    notes = await cache.get("first key", "notes", partial(load_bytes, 1000))
    other_notes = await cache.get("second key", "notes", partial(load_bytes, 1000))
    for number in range(20):
        await cache.get("first key", f"sessions/{number}", partial(load_bytes, MIB // 10))
    assert await cache.get("first key", "notes", partial(load_bytes, 1000)) is not notes
    assert await cache.get("second key", "notes", partial(load_bytes, 1000)) is other_notes
    assert cache.total_bytes < 2 * MIB


async def test_cache_is_bounded_in_bytes_for_all_keys(clock: AutoClock) -> None:
    """Five keys with 55 MB of notes each (which took 572 MB)."""
    cache = Cache(30, clock)
    for number in range(5):
        await cache.get(str(number), "notes", partial(load_bytes, 55 * MIB))
        assert 55 * MIB < cache.total_bytes <= MAX_BYTES


async def test_value_above_the_bound_is_not_kept(clock: AutoClock) -> None:
    cache = Cache(30, clock, max_bytes_per_tenant=MIB)
    first = await cache.get("key", "notes", partial(load_bytes, 2 * MIB))
    assert await cache.get("key", "notes", partial(load_bytes, 2 * MIB)) is not first
    assert cache.total_bytes == 0


@pytest.mark.parametrize(
    ("value", "least"),
    [
        ("x" * 1000, 1000),
        ("\U0001f600" * 1000, 4000),
        ([{"a": "x" * 500}] * 10, 5000),
        (Conversation((Message(message="x" * 1000),), "c"), 1000),
    ],
    ids=["text", "emoji", "list", "conversation"],
)
def test_size_counts_all_that_a_value_holds(value: object, least: int) -> None:
    assert least <= size_of(value) <= least * 4


async def test_load_after_a_cancelled_one_starts_anew() -> None:
    """A caller that joined a load that is being cancelled would be cancelled too."""
    cache, gate, loads = Cache(30, AutoClock()), asyncio.Event(), 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        try:
            await gate.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # as an HTTP client that closes its connection
            raise
        return "notes"

    cancelled = asyncio.ensure_future(cache.get("key", "knowledge", load, fresh=True))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.sleep(0)
    later = asyncio.ensure_future(cache.get("key", "knowledge", load))
    await asyncio.sleep(0)
    gate.set()
    assert await later == "notes"
    assert loads == 2
