"""Completion of resource variables and prompt arguments, in both eras."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import (
    PromptReference,
    ResourceTemplateReference,
)

from devin_mcp.operations.browsing import COMPLETIONS, PROMPTS, RESOURCES
from devin_mcp.sandbox.sample_data import playbook
from devin_mcp.server.prompts import prompt_arguments
from devin_mcp.server.resource_uris import variable_names
from tests.clock import AutoClock
from tests.conftest import Connect, Era, ToolClient
from tests.upstream import Upstream, answer, slow


def write_playbooks(upstream: Upstream, *books: tuple[str, str, str | None]) -> None:
    upstream.organization.playbooks = {
        one: playbook(one, title, f"Do {title}.", macro, f"2026-01-{place:02}T00:00:00Z")
        for place, (one, title, macro) in enumerate(books, 1)
    }


async def completed(
    client: ToolClient, name: str, typed: str, *, prompt: str = "upgrade", **filled: str
) -> list[str]:
    noun = {
        "playbook_id": "playbooks",
        "note_id": "knowledge",
        "session_id": "sessions",
        "after": "sessions",
    }.get(name)
    ref: Any = PromptReference(type="ref/prompt", name=prompt)
    if noun is not None:
        uri = (
            f"devin://{noun}/{{{name}}}"
            if name != "after"
            else "devin://sessions/{session_id}/messages{?after}"
        )
        ref = ResourceTemplateReference(type="ref/resource", uri=uri)
    got = await client.sdk.complete(ref, {"name": name, "value": typed}, filled or None)
    return got.completion.values


def test_every_variable_and_argument_can_be_completed() -> None:
    wanted = {name for item in RESOURCES for name in variable_names(item)} | {
        argument.name for item in PROMPTS for argument in prompt_arguments(item)
    }
    assert wanted == set(COMPLETIONS)


async def test_completion_matches_id_name_title_and_macro_best_first(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    write_playbooks(
        upstream,
        ("playbook-0001", "Deploy the shop", "!ship"),
        ("playbook-0002", "Ship a hotfix", "!hot"),
        ("playbook-0003", "Relationship audit", None),
        ("playbook-0004", "ship", None),
    )
    async with connect(era=era) as client:
        assert await completed(client, "playbook_id", "ship") == [
            "playbook-0001",
            "playbook-0004",
            "playbook-0002",
            "playbook-0003",
        ]
        assert await completed(client, "playbook_id", "!hot") == ["playbook-0002"]
        assert await completed(client, "playbook_id", "playbook-0003") == ["playbook-0003"]
        assert len(await completed(client, "playbook_id", "")) == 4
        assert await completed(client, "playbook_id", "no such") == []
        assert await completed(client, "note_id", "commit") == ["note-0001"]
        assert await completed(client, "repository", "shop", prompt="ship") == [
            "acme/shop-api",
            "acme/shop-web",
        ]


async def test_session_ids_titles_and_messages_are_completed(
    connect: Connect, upstream: Upstream, clock: AutoClock, era: Era
) -> None:
    async with connect(era=era) as client:
        session_id = (
            await client.ok("create_session", prompt="Prices sandbox:quick", title="Check prices")
        )["session_id"]
        clock.skip(40)
        assert await completed(client, "session_id", "prices") == [session_id]
        assert await completed(client, "session_title", "che") == ["Check prices"]
        assert await completed(client, "task", "prices") == ["Check prices"]
        assert await completed(client, "repository", "acme/shop-a") == ["acme/shop-api"]
        events = [
            message["event_id"] for message in upstream.organization.sessions[session_id].readable()
        ]
        assert await completed(client, "after", "", session_id=session_id) == events[::-1]
        assert await completed(client, "after", "Done", session_id=session_id) == [events[-1]]
        assert await completed(client, "after", "") == []
        assert await completed(client, "after", "", session_id="../x") == []


async def test_typing_on_sends_no_further_request(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        for typed in ("u", "up", "upg", "upgr", "upgra"):
            assert "playbook-0002" in await completed(client, "playbook_id", typed)
    assert len(upstream.requests) == 1


async def test_completion_is_empty_when_devin_fails_or_is_slow(
    connect: Connect, upstream: Upstream, logs: Any
) -> None:
    upstream.fail("GET", "/v1/playbooks", *[answer(500)] * 9)
    upstream.fail("GET", "/v1/knowledge", slow(asyncio.Event()))
    async with connect() as client:
        for typed in ("u", "up", "upg"):
            assert await completed(client, "playbook_id", typed) == []
        assert upstream.count("GET", "/v1/playbooks") == 1
        assert await completed(client, "note_id", "x") == []
    outcomes = [line["error"] for line in logs() if line["event"] == "mcp_call"]
    assert outcomes == ["broken"] * 3 + ["timeout"]


async def test_failing_source_does_not_hide_the_others(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(403, {"detail": "no"}))
    async with connect() as client:
        assert await completed(client, "repository", "shop") == ["acme/shop-api", "acme/shop-web"]


async def test_slow_source_does_not_hide_the_others(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    upstream.fail("GET", "/v1/knowledge", slow(asyncio.Event()))
    async with connect() as client:
        await client.ok("create_session", prompt="sandbox:quick")
        clock.skip(5)
        assert await completed(client, "repository", "shop") == ["acme/shop-api"]


async def test_completion_returns_at_most_100_values(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.notes = {
        f"note-{n}": {"id": f"note-{n}", "name": f"N{n}"} for n in range(150)
    }
    ref = ResourceTemplateReference(type="ref/resource", uri="devin://knowledge/{note_id}")
    async with connect() as client:
        completion = (await client.sdk.complete(ref, {"name": "note_id", "value": "n"})).completion
    assert (len(completion.values), completion.total, completion.has_more) == (100, 150, True)


async def test_hidden_resources_are_not_completed(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    async with connect(era=era, toolsets="sessions") as client:
        with pytest.raises(MCPError, match="nothing of that name"):
            await completed(client, "playbook_id", "u")
        ref = PromptReference(type="ref/prompt", name="delegate")
        result = await client.sdk.complete(ref, {"name": "repository", "value": "acme"})
        assert result.completion.values == [], "repositories of hidden notes stay hidden"
        with pytest.raises(MCPError, match="nothing of that name"):
            await client.sdk.complete(ref, {"name": "colour", "value": "r"})
    assert upstream.count("GET", "/v1/knowledge") == 0
