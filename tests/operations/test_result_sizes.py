"""Results that a model reads in most conversations stay short (hosts.md §3)."""

from __future__ import annotations

import pytest

from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, text_of

pytestmark = pytest.mark.usefixtures("api")


@pytest.mark.parametrize(
    ("tool", "max_bytes"), [("list_knowledge", 2_000), ("list_playbooks", 580)]
)
async def test_list_is_short(connect: Connect, tool: str, max_bytes: int) -> None:
    async with connect() as client:
        text = text_of(await client(tool))
    assert len(text.encode()) <= max_bytes, text


async def test_delegation_is_short_and_says_nothing_twice(
    connect: Connect, manual_clock: ManualClock
) -> None:
    prompt = "Refuse orders with a negative price, with tests."
    async with connect(manual_clock=manual_clock) as client:
        delegating = client("delegate_task", prompt=prompt, max_wait_s=20)
        result = await advance_during(manual_clock, delegating, 6, 6, 6)
    text = text_of(result)
    assert len(text.encode()) <= 620, text
    assert '"waiting"' in text
    assert (text.count(prompt), text.count('"phase"')) == (0, 1)
