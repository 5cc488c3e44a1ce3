"""Completion of resource variables and prompt arguments, in both eras."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import (
    PromptReference,
    ResourceTemplateReference,
)

from devin_mcp.keys import DevinApi
from devin_mcp.operations.browsing import COMPLETIONS
from tests.clock import AutoClock
from tests.conftest import Connect, Era, ToolClient
from tests.server.contents import write_notes, write_playbooks
from tests.upstream import Upstream, answer, delay_reply

pytestmark = pytest.mark.usefixtures("api")

TEMPLATES = {
    "playbook_id": "devin://playbooks/{playbook_id}",
    "note_id": "devin://knowledge/{note_id}",
    "session_id": "devin://sessions/{session_id}",
    "after": "devin://sessions/{session_id}/messages{?after}",
}


async def complete(
    client: ToolClient, name: str, typed: str, *, prompt: str = "upgrade", **context: str
) -> list[str]:
    """Values for a variable of a resource template, or else for an argument of a prompt."""
    reference: PromptReference | ResourceTemplateReference
    if name in TEMPLATES:
        reference = ResourceTemplateReference(type="ref/resource", uri=TEMPLATES[name])
    else:
        reference = PromptReference(type="ref/prompt", name=prompt)
    argument = {"name": name, "value": typed}
    return (await client.sdk.complete(reference, argument, context or None)).completion.values


async def test_every_variable_and_argument_can_be_completed(
    connect: Connect, api: DevinApi
) -> None:
    async with connect() as client:
        templates = (await client.sdk.list_resource_templates()).resource_templates
        prompts = (await client.sdk.list_prompts()).prompts
    variables = {
        name for template in templates for name in re.findall(r"{\??(\w+)}", template.uri_template)
    }
    arguments = {argument.name for prompt in prompts for argument in prompt.arguments or []}
    only_v3 = set() if api == "v3" else {"repository"}
    assert variables | arguments == set(COMPLETIONS) - only_v3


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
        assert await complete(client, "playbook_id", "ship") == [
            "playbook-0001",
            "playbook-0004",
            "playbook-0002",
            "playbook-0003",
        ]
        assert await complete(client, "playbook_id", "!hot") == ["playbook-0002"]
        assert await complete(client, "playbook_id", "playbook-0003") == ["playbook-0003"]
        assert len(await complete(client, "playbook_id", "")) == 4
        assert await complete(client, "playbook_id", "no such") == []
        assert await complete(client, "note_id", "commit") == ["note-0001"]


async def test_session_ids_and_titles_are_completed(connect: Connect, clock: AutoClock) -> None:
    async with connect() as client:
        session_id = await client.create_session("Prices sandbox:quick", title="Check prices")
        clock.skip(40)
        assert await complete(client, "session_id", "prices") == [session_id]
        assert await complete(client, "task", "prices") == ["Check prices"]


async def test_event_ids_are_completed_newest_first(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:quick")
        clock.skip(40)
        completed = await complete(client, "after", "", session_id=session_id)
        completed_by_text = await complete(client, "after", "Done", session_id=session_id)
    messages = upstream.organization.sessions[session_id].readable()
    event_ids = [message["event_id"] for message in messages]
    assert len(event_ids) > 1
    assert completed == event_ids[::-1]
    assert completed_by_text == event_ids[-1:]


async def test_event_ids_without_a_valid_session_id_are_not_completed(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        assert await complete(client, "after", "") == []
        assert await complete(client, "after", "", session_id="../x") == []
    assert upstream.requests == []


async def test_typing_on_sends_no_further_request(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        for typed in ("u", "up", "upg", "upgr", "upgra"):
            assert "playbook-0002" in await complete(client, "playbook_id", typed)
    assert len(upstream.sent("list_playbooks")) == 1
    assert upstream.requests[-1] in upstream.sent("list_playbooks")


async def test_completion_is_empty_when_devin_fails(
    connect: Connect, upstream: Upstream, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    upstream.fail_operation("list_playbooks", *[answer(500)] * 9)
    async with connect() as client:
        for typed in ("u", "up", "upg"):
            assert await complete(client, "playbook_id", typed) == []
    assert len(upstream.sent("list_playbooks")) == 1
    calls = [line for line in logs() if line["event"] == "mcp_call"]
    assert [line["error"] for line in calls] == ["broken"] * 3


async def test_completion_is_empty_when_devin_is_slow(
    connect: Connect, upstream: Upstream, logs: Callable[[], list[dict[str, Any]]]
) -> None:
    upstream.fail_operation("list_knowledge", delay_reply(asyncio.Event()))
    async with connect() as client:
        assert await complete(client, "note_id", "x") == []
    (call,) = [line for line in logs() if line["event"] == "mcp_call"]
    assert call["error"] == "timeout"


async def test_completion_returns_at_most_100_values(connect: Connect, upstream: Upstream) -> None:
    write_notes(upstream, 150)
    template = ResourceTemplateReference(type="ref/resource", uri=TEMPLATES["note_id"])
    async with connect() as client:
        result = await client.sdk.complete(template, {"name": "note_id", "value": "n"})
    completion = result.completion
    assert (len(completion.values), completion.total, completion.has_more) == (100, 150, True)


async def test_hidden_and_unknown_names_are_refused(connect: Connect, era: Era) -> None:
    async with connect(era=era, toolsets="sessions") as client:
        for name in ("playbook_id", "colour"):
            with pytest.raises(MCPError, match="nothing of that name"):
                await complete(client, name, "u", prompt="delegate")
