"""Helpers for tests that wait: sessions, messages, and a clock that moves during the wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.clock import ManualClock, advance_during
from tests.conftest import ToolClient


def message(number: int, text: str, author: str = "devin") -> dict[str, Any]:
    """A message as Devin returns it, by `devin` or by `user`."""
    return {"type": f"{author}_message", "event_id": f"e{number}", "message": text}


def messages_of(result: dict[str, Any], index: int = 0) -> list[str]:
    """The texts of all messages in this row of a wait result, or in the result of a write."""
    return [message["message"] for message in _row(result, index).get("messages", [])]


def _row(result: dict[str, Any], index: int) -> dict[str, Any]:
    row: dict[str, Any] = result["sessions"][index] if "sessions" in result else result
    return row


def devin_messages_of(result: dict[str, Any], index: int = 0) -> list[str]:
    """The texts of Devin's own messages in this row of the result."""
    return [
        message["message"]
        for message in _row(result, index).get("messages", [])
        if message["source"] == "devin"
    ]


async def wait(
    client: ToolClient,
    manual_clock: ManualClock,
    *steps: float,
    until_asleep: int = 1,
    **arguments: Any,
) -> dict[str, Any]:
    """Wait for devin-1, or for `session_ids`, while the time passes in these steps.

    Each step is taken once `until_asleep` tasks sleep: one for the wait and one for each poller.
    """
    waiting = client.ok("wait_for_sessions", **{"session_ids": ["devin-1"], **arguments})
    return await advance_during(manual_clock, waiting, *steps, until_asleep=until_asleep)


@asynccontextmanager
async def time_passing(manual_clock: ManualClock, step: float) -> AsyncIterator[None]:
    """Let time pass, as long as the block lasts, whenever a wait and its poller are asleep."""

    async def advance() -> None:
        while True:
            await manual_clock.advance(step, until_asleep=2)

    advancing = asyncio.ensure_future(advance())
    try:
        yield
    finally:
        advancing.cancel()
        await asyncio.wait({advancing})


def skip(manual_clock: ManualClock, seconds: float) -> None:
    """Let time pass for Devin and for this server without waking those who sleep."""
    manual_clock.passed += seconds
    for listener in manual_clock.on_skip:
        listener(seconds)
