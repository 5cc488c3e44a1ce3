"""Asking the person before something is taken away: in both eras, on both transports, and never by an argument."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import ElicitRequestFormParams, ElicitResult, InputRequiredResult, InputResponses

from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import DESTROY
from tests.conftest import Connect, Era, ToolClient
from tests.e2e.processes import COMMAND, environment, serving
from tests.upstream import KEY, Upstream, answer, silent

Logs = Callable[[], list[dict[str, Any]]]
YES: InputResponses = {"confirm": ElicitResult(action="accept", content={})}


class Person:
    """Who sits at the client; answers every question alike and remembers them."""

    def __init__(self, action: Any = "accept", content: Any = None) -> None:
        self.reply = ElicitResult(action=action, content=content)
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema == {"type": "object", "properties": {}}
        self.questions.append(params.message)
        return self.reply


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


def test_whatever_destroys_says_what_is_lost() -> None:
    destroying = [one for one in OPERATIONS if one.effect is DESTROY]
    assert len(destroying) == 4
    for one in destroying:
        assert one.stake is not None
        assert one.stake.lost.endswith(".")


@pytest.mark.parametrize(("tool", "argument", "thing", "question"), DELETIONS)
async def test_the_person_is_asked_in_one_line_that_names_the_thing(
    connect: Connect,
    upstream: Upstream,
    era: Era,
    tool: str,
    argument: str,
    thing: str,
    question: str,
) -> None:
    person = Person()
    async with connect(era=era, ask=person) as client:
        assert (await client.ok(tool, **{argument: thing}))["deleted"] is True
    (asked,) = person.questions
    assert asked.startswith(question)
    assert "\n" not in asked
    assert upstream.count("DELETE") == 1


async def test_a_title_is_cut_and_quoted_as_data(
    connect: Connect, upstream: Upstream, era: Era, logs: Logs
) -> None:
    person = Person()
    async with connect(era=era, ask=person) as client:
        title = 'x" (devin-other)? Nothing is lost.\nYes' + "y" * 100 + KEY
        one = (await client.ok("create_session", prompt="p", title=title))["session_id"]
        assert (await client.ok("terminate_session", session_id=one))["terminated"] is True
    (asked,) = person.questions
    assert asked.startswith(
        'Terminate the Devin session "x\\" (devin-other)? Nothing is lost. Yesyyy'
    )
    assert asked.endswith(f'" ({one})? It cannot be woken again and unsaved work is lost.')
    assert len(asked) < 80 + 40 + 130
    assert outcomes(logs) == (["asked", "ok"] if era == "auto" else ["ok"])


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_who_says_no_is_believed(
    connect: Connect, upstream: Upstream, era: Era, action: str, logs: Logs
) -> None:
    async with connect(era=era, ask=Person(action)) as client:
        text = await client.error("delete_secret", secret_id="secret-0001")
    assert "did not agree" in text
    assert "Nothing was changed" in text
    assert upstream.count("DELETE") == 0
    assert outcomes(logs)[-1] == "declined"


async def test_the_id_alone_where_the_title_cannot_be_read(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person()
    upstream.fail("GET", "/v1/secrets", *[answer(500)] * 9)
    async with connect(era=era, ask=person) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert person.questions[0].startswith("Delete the secret secret-0001? ")


async def test_nobody_is_asked_about_what_is_not_there(connect: Connect, era: Era) -> None:
    person = Person()
    async with connect(era=era, ask=person) as client:
        assert "does not know" in await client.error("terminate_session", session_id="devin-no")
        assert "session_id" in await client.error("terminate_session", session_id="../secrets/x")
    assert person.questions == []


async def test_nobody_is_asked_about_what_is_over_already(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person()
    async with connect(era=era, ask=person) as client:
        one = (await client.ok("create_session", prompt="p"))["session_id"]
        await client.ok("terminate_session", session_id=one)
        assert len(person.questions) == 1
        assert (await client.ok("terminate_session", session_id=one))["terminated"] is True
    assert len(person.questions) == 1


async def test_where_nobody_can_be_asked_auto_goes_ahead_and_always_refuses(
    connect: Connect, upstream: Upstream, era: Era, logs: Logs
) -> None:
    async with connect(era=era, confirm="always") as client:
        assert "--confirm always" in await client.error("delete_secret", secret_id="secret-0001")
    assert upstream.count("DELETE") == 0
    async with connect(era=era) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert outcomes(logs) == ["refused", "ok"]


async def test_always_asks_and_never_does_not(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    person = Person()
    async with connect(era=era, ask=person, confirm="always") as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    async with connect(era=era, ask=person, confirm="never") as client:
        await client.ok("delete_secret", secret_id="secret-0002")
    assert len(person.questions) == 1
    assert upstream.count("DELETE") == 2


async def test_an_argument_or_an_answer_that_nobody_asked_for_is_no_consent(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(ask=Person("decline")) as client:
        text = await client.error("delete_secret", secret_id="secret-0001", confirm=True)
        assert "confirm" in text
        forged = await client.sdk.session.call_tool(
            "devin_delete_secret",
            {"secret_id": "secret-0001"},
            input_responses=YES,
            allow_input_required=True,
        )
        assert isinstance(forged, InputRequiredResult)
        with pytest.raises(MCPError):
            await client.sdk.session.call_tool(
                "devin_delete_secret",
                {"secret_id": "secret-0001"},
                input_responses=YES,
                request_state="asked",
                allow_input_required=True,
            )
    assert upstream.count("DELETE") == 0


async def asked(client: Client, **arguments: str) -> str:
    """The sealed state that comes with the question."""
    result = await client.session.call_tool(
        "devin_delete_secret", arguments, allow_input_required=True
    )
    assert isinstance(result, InputRequiredResult)
    assert result.request_state is not None
    return result.request_state


async def agree(client: Client, state: str, **arguments: str) -> Any:
    return await client.session.call_tool(
        "devin_delete_secret",
        arguments,
        input_responses=YES,
        request_state=state,
        allow_input_required=True,
    )


async def test_consent_is_bound_to_the_thing_and_to_the_caller(
    connect: Connect, upstream: Upstream, logs: Logs
) -> None:
    keys = "k" * 32
    async with connect(ask=Person(), DEVIN_MCP_STATE_KEYS=keys) as client:
        state = await asked(client.sdk, secret_id="secret-0001")
        with pytest.raises(MCPError, match="belongs to another call"):
            await agree(client.sdk, state, secret_id="secret-0002")
        with pytest.raises(MCPError, match="asked anew"):
            await agree(client.sdk, state[:-3] + "AAA", secret_id="secret-0001")
    async with connect(
        ask=Person(), DEVIN_MCP_STATE_KEYS=keys, DEVIN_API_KEY=KEY + "x"
    ) as stranger:
        with pytest.raises(MCPError, match="another call or caller"):
            await agree(stranger.sdk, state, secret_id="secret-0001")
    assert upstream.count("DELETE") == 0
    refused = [
        line
        for line in logs()
        if line["event"] == "mcp_call" and line.get("error") == "invalid_state"
    ]
    assert len(refused) == 3
    assert not [line for line in logs() if keys in str(line)]


async def test_after_a_restart_an_answer_needs_a_shared_key_and_the_error_says_so(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(ask=Person()) as client:
        state = await asked(client.sdk, secret_id="secret-0001")
    async with connect(ask=Person()) as client:
        with pytest.raises(MCPError, match="DEVIN_MCP_STATE_KEYS"):
            await agree(client.sdk, state, secret_id="secret-0001")
    old, new = "o" * 32, "n" * 32
    async with connect(ask=Person(), DEVIN_MCP_STATE_KEYS=old) as client:
        state = await asked(client.sdk, secret_id="secret-0001")
    async with connect(ask=Person(), DEVIN_MCP_STATE_KEYS=f"{new},{old}") as client:  # rotated
        assert not (await agree(client.sdk, state, secret_id="secret-0001")).is_error
    assert upstream.count("DELETE") == 1


async def test_who_stops_while_asked_stops_it(connect: Connect, upstream: Upstream) -> None:
    thinking = asyncio.Event()

    async def think(_: Any, __: Any) -> ElicitResult:
        thinking.set()
        await asyncio.sleep(60)
        return ElicitResult(action="accept")

    async with connect(era="legacy", ask=think) as client:
        deleting = asyncio.ensure_future(client("delete_secret", secret_id="secret-0001"))
        await thinking.wait()
        deleting.cancel()
        await asyncio.wait({deleting})
        await client.ok("list_secrets")
    assert upstream.count("DELETE") == 0


async def test_a_client_that_breaks_on_the_question_agrees_to_nothing(
    connect: Connect, upstream: Upstream
) -> None:
    async def broken(_: Any, __: Any) -> Any:
        raise RuntimeError("no screen")

    async with connect(era="legacy", ask=broken) as client:
        assert "could not put the question" in await client.error(
            "delete_secret", secret_id="secret-0001"
        )
    assert upstream.count("DELETE") == 0


async def test_a_title_that_does_not_come_delays_no_question(
    connect: Connect, upstream: Upstream
) -> None:
    person = Person()
    upstream.fail("GET", "/v1/secrets", *[silent] * 9)
    async with connect(ask=person, timeout=0.2) as client:
        await client.ok("delete_secret", secret_id="secret-0001")
    assert person.questions[0].startswith("Delete the secret secret-0001? ")


async def test_over_real_stdio_both_eras_are_asked(era: Era) -> None:
    person = Person()
    server = StdioServerParameters(
        command=COMMAND[0], args=[*COMMAND[1:], "--sandbox"], env=environment()
    )
    async with Client(stdio_client(server), mode=era, elicitation_callback=person) as client:
        assert (await ToolClient(client).ok("delete_secret", secret_id="secret-0001"))[
            "deleted"
        ] is True
    assert len(person.questions) == 1


async def test_over_http_who_can_be_asked_is_and_older_clients_cannot(era: Era) -> None:
    person = Person()
    async with (
        serving("--sandbox", "--confirm", "always") as (_, url),
        Client(url, mode=era, elicitation_callback=person) as client,
    ):
        if era == "auto":
            assert (await ToolClient(client).ok("delete_secret", secret_id="secret-0001"))[
                "deleted"
            ] is True
        else:
            assert "--confirm always" in await ToolClient(client).error(
                "delete_secret", secret_id="secret-0001"
            )
    assert len(person.questions) == (1 if era == "auto" else 0)
