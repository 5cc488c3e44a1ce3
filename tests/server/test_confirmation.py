"""Confirmation of destructive tools: in both eras, on both transports, and never by an argument."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ElicitResult

from devin_mcp.keys import DevinApi
from devin_mcp.operations.catalog import Operation
from tests.conftest import Connect, Era, ToolClient
from tests.declared import on_each_api
from tests.e2e.processes import COMMAND, environment, start_http_process
from tests.server.fake_user import FakeUser
from tests.upstream import KEY, Upstream, answer, never_answer

pytestmark = pytest.mark.usefixtures("api")

Logs = Callable[[], list[dict[str, Any]]]


def outcomes(logs: Logs) -> list[str]:
    return [
        line["outcome"]
        for line in logs()
        if line["event"] == "mcp_call" and line.get("effect") == "destroy"
    ]


DELETIONS = [
    (
        "delete_playbook",
        "playbook_id",
        "playbook-0001",
        'Delete the playbook "Fix a failing test" (playbook-0001)? ',
    ),
    ("delete_knowledge", "note_id", "note-0002", 'Delete the note "Python style" (note-0002)? '),
    ("delete_secret", "secret_id", "secret-0001", 'Delete the secret "NPM_TOKEN" (secret-0001)? '),
]


async def test_destructive_tools_are_marked_as_such(connect: Connect, era: Era) -> None:
    async with connect(era=era) as client:
        tools = (await client.sdk.list_tools()).tools
    destructive = {
        tool.name for tool in tools if tool.annotations and tool.annotations.destructive_hint
    }
    deletions = {f"devin_{tool}" for tool, *_ in DELETIONS}
    assert destructive == deletions | {"devin_terminate_session"}


@pytest.mark.parametrize(("tool", "argument", "resource_id", "question"), DELETIONS)
async def test_question_is_one_line_that_names_the_resource_and_the_loss(
    connect: Connect,
    upstream: Upstream,
    era: Era,
    tool: str,
    argument: str,
    resource_id: str,
    question: str,
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user) as client:
        assert (await client.ok(tool, **{argument: resource_id}))["deleted"] is True
    (text,) = user.questions
    assert text.startswith(question)
    assert re.fullmatch(r"[A-Z].+\.", text.removeprefix(question))
    assert upstream.count("DELETE") == 1


async def test_title_in_the_question_is_cut_and_quoted(
    connect: Connect, upstream: Upstream, era: Era, logs: Logs
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user) as client:
        title = 'x" (devin-other)? Nothing is lost.\nYes' + "y" * 100 + KEY
        session_id = await client.create_session(title=title)
        result = await client.ok("terminate_session", session_id=session_id)
    assert result["terminated"] is True
    (text,) = user.questions
    assert text.startswith(
        'Terminate the Devin session "x\\" (devin-other)? Nothing is lost. Yesyyy'
    )
    assert text.endswith(f'" ({session_id})? It cannot be woken again and unsaved work is lost.')
    assert len(text) < 80 + 40 + 130
    assert outcomes(logs) == (["asked", "ok"] if era == "auto" else ["ok"])


@pytest.mark.parametrize(
    ("action", "says"),
    [("decline", "answered with no"), ("cancel", "closed without an answer")],
)
async def test_question_without_consent_changes_nothing_and_blames_nobody(
    connect: Connect, upstream: Upstream, era: Era, action: str, says: str, logs: Logs
) -> None:
    """Claude Code -p and Codex exec answer by themselves (hosts.md §1)."""
    async with connect(era=era, ask=FakeUser(action)) as client:
        text = await client.error("delete_secret", secret_id="secret-0001")
    assert says in text
    assert "Nothing was changed" in text
    assert "--confirm never" in text
    assert not re.search(r"\b(user|agree|was asked)\b", text)
    assert upstream.count("DELETE") == 0
    assert outcomes(logs)[-1] == "declined"


async def test_question_shows_only_the_id_when_the_title_is_unreadable(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    user = FakeUser()
    upstream.fail_operation("list_secrets", *[answer(500)] * 9)
    async with connect(era=era, ask=user) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert user.questions[0].startswith("Delete the secret secret-0001? ")


@on_each_api(lambda operation: bool(operation.confirmation and operation.confirmation.describe))
async def test_unknown_or_invalid_id_is_not_asked_about(
    connect: Connect, api: DevinApi, operation: Operation[Any, Any]
) -> None:
    assert operation.confirmation is not None
    user, name = FakeUser(), operation.confirmation.subject
    tool = operation.tool_name.removeprefix("devin_")
    others = {"enabled": True} if tool == "update_schedule" else {}
    async with connect(ask=user, toolsets="all") as client:
        assert "does not know" in await client.error(tool, **{name: "devin-9999"}, **others)
        assert name in await client.error(tool, **{name: "../secrets/x"}, **others)
    assert user.questions == []


async def test_terminated_session_is_not_asked_about_again(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user) as client:
        session_id = await client.create_session()
        await client.ok("terminate_session", session_id=session_id)
        assert len(user.questions) == 1
        assert (await client.ok("terminate_session", session_id=session_id))["terminated"] is True
    assert len(user.questions) == 1


async def test_confirm_always_refuses_a_client_without_elicitation(
    connect: Connect, upstream: Upstream, era: Era, logs: Logs
) -> None:
    async with connect(era=era, confirm="always") as client:
        assert "--confirm always" in await client.error("delete_secret", secret_id="secret-0001")
    assert upstream.count("DELETE") == 0
    assert outcomes(logs) == ["refused"]


async def test_confirm_auto_deletes_for_a_client_without_elicitation(
    connect: Connect, upstream: Upstream, era: Era, logs: Logs
) -> None:
    async with connect(era=era) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert upstream.count("DELETE") == 1
    assert outcomes(logs) == ["ok"]


@pytest.mark.parametrize(("confirm", "questions"), [("always", 1), ("never", 0)])
async def test_confirm_always_asks_and_never_does_not(
    connect: Connect, upstream: Upstream, era: Era, confirm: str, questions: int
) -> None:
    user = FakeUser()
    async with connect(era=era, ask=user, confirm=confirm) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert len(user.questions) == questions
    assert upstream.count("DELETE") == 1


async def test_argument_is_no_confirmation(connect: Connect, upstream: Upstream) -> None:
    async with connect(ask=FakeUser("decline")) as client:
        text = await client.error("delete_secret", secret_id="secret-0001", confirm=True)
    assert "confirm" in text
    assert upstream.count("DELETE") == 0


async def test_call_cancelled_during_the_question_changes_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    asked = asyncio.Event()

    async def never_answer(_: Any, __: Any) -> ElicitResult:
        asked.set()
        await asyncio.Event().wait()
        return ElicitResult(action="accept")

    async with connect(era="legacy", ask=never_answer) as client:
        deleting = asyncio.ensure_future(client("delete_secret", secret_id="secret-0001"))
        await asked.wait()
        deleting.cancel()
        await asyncio.wait({deleting})
        await client.ok("list_secrets")
    assert upstream.count("DELETE") == 0


async def test_client_that_fails_on_the_question_changes_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    async def fail(_: Any, __: Any) -> Any:
        raise RuntimeError("no screen")

    async with connect(era="legacy", ask=fail) as client:
        text = await client.error("delete_secret", secret_id="secret-0001")
    assert "could not ask" in text
    assert upstream.count("DELETE") == 0


async def test_slow_title_does_not_delay_the_question(connect: Connect, upstream: Upstream) -> None:
    user = FakeUser()
    upstream.fail_operation("list_secrets", *[never_answer] * 9)
    async with connect(ask=user, timeout=0.2) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert user.questions[0].startswith("Delete the secret secret-0001? ")


async def test_question_is_asked_over_stdio(era: Era) -> None:
    user = FakeUser()
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment()
    )
    async with Client(stdio_client(server), mode=era, elicitation_callback=user) as client:
        result = await ToolClient(client).ok("delete_secret", secret_id="secret-0001")
    assert result["deleted"] is True
    assert len(user.questions) == 1


async def test_question_over_http_needs_the_2026_revision(era: Era) -> None:
    user = FakeUser()
    async with (
        start_http_process("--sandbox", "--confirm", "always") as (_, url),
        Client(url, mode=era, elicitation_callback=user) as client,
    ):
        tool_client = ToolClient(client)
        if era == "auto":
            result = await tool_client.ok("delete_secret", secret_id="secret-0001")
            assert result["deleted"] is True
        else:
            text = await tool_client.error("delete_secret", secret_id="secret-0001")
            assert "--confirm always" in text
    assert len(user.questions) == (1 if era == "auto" else 0)
