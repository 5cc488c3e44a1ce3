"""Slots for requests to Devin are shared fairly between keys."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from devin_mcp.api.fair_slots import FairSlots


async def hold_slots(
    slots: FairSlots, gate: asyncio.Event, order: list[str], keys: Sequence[str]
) -> list[asyncio.Task[None]]:
    """A request of each key, which holds its slot until the gate is set. `order` is who got one."""

    async def request(key: str) -> None:
        async with slots.slot(key):
            order.append(key)
            await gate.wait()

    tasks = [asyncio.ensure_future(request(key)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def test_keys_that_wait_take_turns() -> None:
    slots, gate, order = FairSlots(2), asyncio.Event(), list[str]()
    greedy = await hold_slots(slots, gate, order, ["greedy"] * 100)
    modest = await hold_slots(slots, gate, order, ["a", "b", "a"])
    gate.set()
    await asyncio.gather(*greedy, *modest)
    assert order[:2] == ["greedy", "greedy"]
    assert order[2:7] == ["greedy", "a", "b", "greedy", "a"]
    assert len(order) == 103


async def test_one_key_gets_a_part_of_the_slots_only() -> None:
    slots, gate, order = FairSlots(4, max_per_key=2), asyncio.Event(), list[str]()
    greedy = await hold_slots(slots, gate, order, ["greedy"] * 9)
    modest = await hold_slots(slots, gate, order, ["modest"] * 2)
    assert order == ["greedy", "greedy", "modest", "modest"]
    gate.set()
    await asyncio.gather(*greedy, *modest)
    assert order.count("greedy") == 9


async def test_cancelled_requests_lose_no_slot() -> None:
    slots = FairSlots(1)
    running, most = 0, 0

    async def request(number: int) -> None:
        nonlocal running, most
        async with slots.slot(str(number % 3)):
            running += 1
            most = max(most, running)
            try:
                await asyncio.sleep(0)
            finally:
                running -= 1

    tasks = [asyncio.ensure_future(request(number)) for number in range(60)]
    for step in range(40):
        await asyncio.sleep(0)
        tasks[(step * 7) % 60].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert most == 1
    async with asyncio.timeout(1), slots.slot("last"):
        pass
