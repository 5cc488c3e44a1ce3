"""Progress of a wait: each change at once, and without one how things stand every ten seconds."""

from __future__ import annotations

import asyncio
import re
from itertools import pairwise

import pytest

from devin_mcp.operations.waiting.progress import REPORT_SECONDS
from tests.clock import ManualClock, advance_during
from tests.conftest import Connect, Era, eventually

pytestmark = pytest.mark.usefixtures("api")


async def test_progress_reports_the_phase(
    connect: Connect, manual_clock: ManualClock, era: Era
) -> None:
    notifications: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        notifications.append((progress, message or ""))

    async with connect(era=era, manual_clock=manual_clock) as client:
        session_id = await client.create_session("sandbox:forever")
        waiting = asyncio.ensure_future(
            client.sdk.call_tool(
                "devin_wait_for_sessions",
                {"session_ids": [session_id]},
                progress_callback=on_progress,
            )
        )
        await manual_clock.advance(8, until_asleep=2)
        await eventually(lambda: bool(notifications))
        waiting.cancel()
        await manual_clock.wait_for_sleepers(0)
    assert notifications == [(1, '"sandbox:forever…" is working')]


@pytest.mark.parametrize(
    ("sessions", "text"),
    [
        (1, '"sandbox:forever…" is working'),
        (2, '"sandbox:forever…" is working, "sandbox:forever…" is working'),
        (5, "5 sessions: 5 working"),
    ],
)
async def test_wait_reports_progress_every_ten_seconds(
    connect: Connect, manual_clock: ManualClock, era: Era, sessions: int, text: str
) -> None:
    """Some hosts end a call without progress, and start to count again at each report."""
    reported_at: list[float] = []
    messages: list[str] = []
    started_at = manual_clock.now()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reported_at.append(manual_clock.now() - started_at)
        messages.append(message or "")

    async with connect(era=era, manual_clock=manual_clock) as client:
        ids = [await client.create_session("sandbox:forever") for _ in range(sessions)]
        waiting = client.sdk.call_tool(
            "devin_wait_for_sessions",
            {"session_ids": ids, "max_wait_s": 45},
            progress_callback=on_progress,
        )
        await advance_during(manual_clock, waiting, *[5] * 10)
    gaps = [later - earlier for earlier, later in pairwise([0.0, *reported_at, 45.0])]
    assert max(gaps) <= REPORT_SECONDS, reported_at
    assert len(messages) >= sessions + 3
    assert [re.sub(r"\(\d+ s\)", "(N s)", message) for message in messages][-3:] == [
        f"{text} (N s)"
    ] * 3
    seconds = [int(number) for number in re.findall(r"\((\d+) s\)", " ".join(messages))]
    assert seconds == sorted(seconds)
