"""Devin's analysis of a session: read, asked for, and shortened."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has no insights.")


async def test_analysis_is_asked_for_and_read(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(toolsets="insights,sessions") as client:
        session_id = await client.create_session("Add a check")
        before = await client.ok("get_session_insights", session_id=session_id)
        asked = await client.ok("get_session_insights", session_id=session_id, generate=True)
        clock.skip(30)
        after = await client.ok("get_session_insights", session_id=session_id)
        again = await client.ok("get_session_insights", session_id=session_id, generate=True)
    assert "generate=true" in before["next"]
    assert "issues" not in before
    assert "Look again in a minute, without generate" in asked["next"]
    assert after["size"] == "s"
    assert after["issues"][0]["label"] == "Missing acceptance criteria"
    assert after["action_items"][0]["type"] == "knowledge"
    assert after["suggested_prompt"].startswith("Add a check\n\n")
    assert again == after
    assert upstream.count("POST", ".*/insights/generate") == 2


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_read_only_server_only_reads(
    connect: Connect, upstream: Upstream, transport: str
) -> None:
    async with connect(toolsets="insights", read_only=True, transport=transport) as client:
        (tool,) = (await client.sdk.list_tools()).tools
        text = await client.error("get_session_insights", session_id="devin-1", generate=True)
    assert "generate" not in tool.input_schema["properties"]
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint is True
    assert "There is no argument generate" in text
    assert upstream.requests == []


async def test_tool_that_can_ask_for_an_analysis_is_not_read_only(connect: Connect) -> None:
    async with connect(toolsets="insights", transport="http") as client:
        (tool,) = (await client.sdk.list_tools()).tools
    assert "generate" in tool.input_schema["properties"]
    assert tool.annotations is not None
    assert tool.annotations.read_only_hint is False


def analysed(issues: int, prompt: str) -> dict[str, Any]:
    return {
        "session_size": "xl",
        "num_user_messages": 3,
        "num_devin_messages": 9,
        "analysis": {
            "issues": [{"label": f"issue {n}", "issue": "x" * 500} for n in range(issues)],
            "action_items": [{"type": "t", "action_item": "y" * 5000}],
            "suggested_prompt": {"suggested_prompt": prompt},
        },
    }


async def test_long_prompt_is_read_on_and_nothing_is_lost(
    connect: Connect, upstream: Upstream
) -> None:
    prompt = "".join(f"{number:05d}\n" for number in range(4000))
    upstream.fail_operation("get_session_insights", *[answer(200, analysed(2, prompt))] * 9)
    parts, start = [], 0
    async with connect(toolsets="insights", result_limit=10_000) as client:
        while start < len(prompt):
            insights = await client.ok(
                "get_session_insights", session_id="devin-1", from_char=start
            )
            assert insights["suggested_prompt_length"] == len(prompt)
            parts.append(insights["suggested_prompt"])
            start += len(parts[-1])
            assert (f"from_char={start}" in insights["next"]) is (start < len(prompt))
    assert "".join(parts) == prompt
    assert len(parts) > 2


async def test_what_does_not_fit_is_counted(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("get_session_insights", answer(200, analysed(200, "")))
    async with connect(toolsets="insights", result_limit=10_000) as client:
        result = await client("get_session_insights", session_id="devin-1")
    insights = result.structured_content
    assert insights is not None
    assert insights["issues_left_out"] == 200 - len(insights["issues"]) > 0
    assert insights["action_items"][0]["action_item"].endswith("…")
    assert "web app" in insights["next"]
    assert len(insights["action_items"][0]["action_item"]) == 2001
    assert len(str(insights)) < 10_000


async def test_asking_is_not_repeated_and_not_denied(connect: Connect, upstream: Upstream) -> None:
    generate = ".*/insights/generate"
    async with connect(toolsets="insights,sessions") as client:
        session_id = await client.create_session()
        upstream.fail("POST", generate, answer(503))
        lost = await client.error("get_session_insights", session_id=session_id, generate=True)
        assert upstream.count("POST", generate) == 1
        upstream.fail("POST", generate, answer(409, {"detail": "exists"}))
        exists = await client.ok("get_session_insights", session_id=session_id, generate=True)
        upstream.fail("GET", ".*/insights", *[answer(500)] * 9)
        asked = await client.ok("get_session_insights", session_id=session_id, generate=True)
    assert "Look in a minute, without generate" in lost
    assert "Devin analyses the session" in exists["next"]
    assert asked["next"].startswith("An analysis was asked for. It could not be read now: Devin")


async def test_analysis_without_a_better_prompt_names_none(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("get_session_insights", answer(200, analysed(1, "")))
    async with connect(toolsets="insights,knowledge") as client:
        insights = await client.ok("get_session_insights", session_id="devin-1")
    assert insights["next"] == "What went wrong can go into a note: devin_create_knowledge."
