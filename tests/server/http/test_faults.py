"""Many callers while one upstream request in ten fails: no session is created twice."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import anyio
import pytest

from tests.clock import AutoClock
from tests.conftest import Connect, settings_for, text_of
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import (
    KEY,
    Exchange,
    Fault,
    Upstream,
    answer,
    cut_reply,
    drop_connection,
    lose_reply,
    page,
)

CALLERS, CALLS_PER_CALLER = 25, 4

Outcomes = dict[str, tuple[str, Any]]
"""Prompt -> ("ok", structured content) or ("error", text)."""


async def forward(exchange: Exchange) -> None:
    response = await exchange.forward(exchange.request)
    await exchange.reply(
        response.status_code, response.content, {"content-type": "application/json"}
    )


def one_in_ten(seed: int) -> Fault:
    """A fault that fails one request in ten and forwards the others; the same ones in each run."""
    chance = random.Random(seed)
    failures = [
        lose_reply,
        drop_connection,
        cut_reply,
        answer(500),
        answer(502),
        answer(503),
        answer(504),
        answer(429, {"detail": "slow down"}),
        page(),
        answer(408),
    ]

    async def fault(exchange: Exchange) -> None:
        await (chance.choice(failures) if chance.random() < 0.1 else forward)(exchange)

    return fault


@pytest.mark.parametrize("tool", ["create_session", "delegate_task"])
async def test_sessions_are_created_once_and_lost_replies_are_reported(
    upstream: Upstream, clock: AutoClock, tool: str
) -> None:
    upstream.sandbox.parallel = 10_000
    for method in ("GET", "POST"):
        upstream.fail(method, ".*", *[one_in_ten(len(method))] * 20_000)
    outcomes: Outcomes = {}

    async def create_sessions(url: str, number: int) -> None:
        async with connect_over_http(url, {"X-Devin-Api-Key": KEY}) as client:
            for turn in range(CALLS_PER_CALLER):
                prompt = f"task {number}-{turn}"
                result = await client(tool, prompt=prompt)
                outcomes[prompt] = (
                    ("error", text_of(result))
                    if result.is_error
                    else ("ok", result.structured_content)
                )

    settings = settings_for(
        upstream, auth="caller-key", max_calls_per_caller=500, max_sessions=10_000
    )
    async with start_http_server(settings, clock=clock) as url, anyio.create_task_group() as group:
        for number in range(CALLERS):
            group.start_soon(create_sessions, url, number)
    assert len(outcomes) == CALLERS * CALLS_PER_CALLER
    check_outcomes(upstream, outcomes)
    if tool == "create_session":
        assert any(kind == "error" for kind, _ in outcomes.values()), "the faults had an effect"


def check_outcomes(upstream: Upstream, outcomes: Outcomes) -> None:
    sessions = upstream.organization.sessions.values()
    prompts = Counter(session.body["prompt"] for session in sessions)
    assert [prompt for prompt, count in prompts.items() if count > 1] == [], "created twice"
    session_ids = {session.body["prompt"]: session.session_id for session in sessions}
    successes = [prompt for prompt, (kind, _) in outcomes.items() if kind == "ok"]
    assert len(successes) > CALLERS * CALLS_PER_CALLER / 2
    for prompt, (kind, result) in outcomes.items():
        if kind == "ok":
            assert result["session_id"] == session_ids[prompt]
        elif prompt in session_ids:
            assert any(
                phrase in result for phrase in ("may exist", "may still appear", "already")
            ), f"a session exists that the error does not mention: {result}"
        else:
            assert "may" in result or "Nothing was" in result


async def test_most_reads_succeed_despite_faults(upstream: Upstream, connect: Connect) -> None:
    upstream.fail("GET", ".*", *[one_in_ten(7)] * 2000)
    async with connect() as client:
        results = [await client("list_playbooks") for _ in range(60)]
    errors = [text_of(result) for result in results if result.is_error]
    assert len(errors) < 15
    assert all("Nothing was changed" in text or "safe to try again" in text for text in errors)
