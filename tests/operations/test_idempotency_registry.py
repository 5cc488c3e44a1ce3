"""What a process remembers of delegations: bounded per key, and never forgotten while in doubt."""

from __future__ import annotations

import asyncio

import pytest

from devin_mcp.api.clock import Deadline
from devin_mcp.errors import ReplyLost, SlowDown
from devin_mcp.operations.idempotency import (
    LISTING_LAG_SECONDS,
    MAX_STARTS,
    MAX_STARTS_PER_TENANT,
    IdempotencyRegistry,
)
from tests.clock import AutoClock


async def attempt(
    registry: IdempotencyRegistry, clock: AutoClock, tenant: str, tag: str, error: Exception | None
) -> None:
    """An attempt whose request ends with this error, or whose call is refused before it."""

    async def request() -> None:
        if error is not None:
            raise error

    async with registry.attempt(tenant, tag, Deadline.after(clock, 50)) as start:
        if error is not None:
            sending = asyncio.ensure_future(request())
            start.on_sent(sending)
            await asyncio.wait({sending})


async def test_start_in_doubt_is_remembered_however_many_follow(clock: AutoClock) -> None:
    registry, lost = IdempotencyRegistry(clock), ReplyLost("lost")
    await attempt(registry, clock, "own", "k", lost)
    for number in range(MAX_STARTS + 40):
        await attempt(registry, clock, "own", f"refused {number}", None)
        await attempt(registry, clock, f"stranger {number}", "k", lost)
    async with registry.attempt("own", "k", Deadline.after(clock, 50)) as start:
        assert start.seconds_in_doubt > LISTING_LAG_SECONDS - 30


async def test_starts_in_doubt_are_bounded_per_key(clock: AutoClock) -> None:
    registry, lost = IdempotencyRegistry(clock), ReplyLost("lost")
    for number in range(MAX_STARTS_PER_TENANT):
        await attempt(registry, clock, "own", f"k{number}", lost)
    with pytest.raises(SlowDown, match="not known whether"):
        await attempt(registry, clock, "own", "one more", None)
    await attempt(registry, clock, "other", "k", None)
    clock.skip(LISTING_LAG_SECONDS)
    await attempt(registry, clock, "own", "one more", None)
    assert registry.count <= MAX_STARTS_PER_TENANT


async def test_waiting_attempts_of_one_key_share_one_start(clock: AutoClock) -> None:
    """The first attempt is refused while others wait: they and later ones stay apart in time."""
    registry, running, most = IdempotencyRegistry(clock), 0, 0

    async def one_attempt() -> None:
        nonlocal running, most
        async with registry.attempt("own", "k", Deadline.after(clock, 50)):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            running -= 1

    for _ in range(3):
        await asyncio.gather(*(one_attempt() for _ in range(5)), asyncio.sleep(0))
    assert most == 1
    assert registry.count == 0
