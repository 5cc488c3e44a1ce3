"""Slots for requests to Devin are shared fairly between keys."""

from __future__ import annotations

import asyncio

from devin_mcp.api.fair_slots import FairSlots


async def test_keys_that_wait_take_turns() -> None:
    slots, gate, order = FairSlots(2), asyncio.Event(), list[str]()

    async def request(key: str) -> None:
        async with slots.slot(key):
            order.append(key)
            await gate.wait()

    greedy = [asyncio.ensure_future(request("greedy")) for _ in range(100)]
    await asyncio.sleep(0)
    modest = [asyncio.ensure_future(request(key)) for key in ("a", "b", "a")]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*greedy, *modest)
    assert order[:2] == ["greedy", "greedy"]
    assert order[2:7] == ["greedy", "a", "b", "greedy", "a"]
    assert len(order) == 103


async def test_one_key_gets_a_part_of_the_slots_only() -> None:
    slots, gate, order = FairSlots(4, max_per_key=2), asyncio.Event(), list[str]()

    async def request(key: str) -> None:
        async with slots.slot(key):
            order.append(key)
            await gate.wait()

    greedy = [asyncio.ensure_future(request("greedy")) for _ in range(9)]
    await asyncio.sleep(0)
    modest = [asyncio.ensure_future(request("modest")) for _ in range(2)]
    await asyncio.sleep(0)
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
