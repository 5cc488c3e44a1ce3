"""The same delegation with a key of the Organization API, and both APIs side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult

from devin_mcp.cli.demo.calls import (
    ANSWER,
    IDEMPOTENCY_KEY,
    call,
    expect,
    last_message,
    refused_call,
    session_in,
    task_arguments,
)
from devin_mcp.cli.demo.output import show_row, show_step
from devin_mcp.cli.demo.servers import DemoServer
from devin_mcp.observability.printable import quote_line

PLAYBOOK_ID = "playbook-0001"


@dataclass
class Delegation:
    """What one API answered to each step."""

    tools: list[str] = field(default_factory=list)
    session_id: str = ""
    repeated_session_id: str = ""
    """Of the call with the arguments of the delegation on v1."""
    started: anyio.Event = field(default_factory=anyio.Event)
    phases: list[str] = field(default_factory=list)
    question: str = ""
    pull_request: str = ""
    deletion: str = ""


async def delegate_on_v3(
    server: DemoServer, prompt: str, first: Delegation, delegation: Delegation
) -> None:
    """Repeat the call of `first`, then delegate the task with an idempotency key of its own."""
    asked: list[str] = []

    async def decline(
        context: Any,  # noqa: ARG001 - a parameter of the SDK's callback
        params: Any,
    ) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="decline")

    async with Client(
        stdio_client(server.command, errlog=server.log), elicitation_callback=decline
    ) as client:
        delegation.tools = [tool.name for tool in (await client.list_tools()).tools]
        await first.started.wait()
        expect(set(first.tools) <= set(delegation.tools), "the Organization API lacks a tool")
        repeated = await call(client, "devin_delegate_task", **task_arguments(prompt))
        delegation.repeated_session_id = repeated["session_id"]
        expect(
            delegation.repeated_session_id == first.session_id,
            "the Organization API started a second session for the same idempotency_key",
        )
        task = task_arguments(prompt, f"{IDEMPOTENCY_KEY}, with the Organization API")
        started = await call(client, "devin_delegate_task", **task)
        delegation.session_id = started["session_id"]
        waited = await call(client, "devin_wait_for_sessions", session_ids=[delegation.session_id])
        waiting = session_in(waited, "waiting")
        delegation.question = last_message(waiting)
        answered = await call(
            client,
            "devin_send_message",
            session_id=delegation.session_id,
            message=ANSWER,
            max_wait_s=45,
        )
        session = session_in(answered, "done")
        delegation.phases = [row["phase"] for row in (started, waiting, session)]
        delegation.pull_request = pull_request_in(session)
        delegation.deletion = await declined_deletion(client)
        expect(len(asked) == 1, "nobody was asked before a deletion")


async def declined_deletion(client: Client) -> str:
    return await refused_call(
        client,
        "devin_delete_playbook",
        playbook_id=PLAYBOOK_ID,
        failure="a playbook was deleted although the user declined",
    )


def pull_request_in(session: dict[str, Any]) -> str:
    expect("pull_requests" in session, "there is no pull request")
    return str(session["pull_requests"][0]["url"])


def show_comparison(
    first: tuple[DemoServer, Delegation], second: tuple[DemoServer, Delegation]
) -> None:
    """The steps of both delegations side by side."""
    show_step(
        "The other API",
        "Meanwhile a second server did the same with the Organization API (v3), in the same "
        "organization. Nothing was changed but its key:",
    )
    show_row("", "v1, DEVIN_API_KEY=apk_...", "Organization API, DEVIN_API_KEY=cog_...")
    count, more = len(first[1].tools), len(second[1].tools) - len(first[1].tools)
    show_row("Tools", str(count), f"the same {count}" + (f" and {more} more" if more else ""))
    rows: list[tuple[str, Callable[[Delegation], str]]] = [
        ("Session", lambda delegation: delegation.session_id),
        ("Phases", lambda delegation: ", ".join(delegation.phases)),
        ("Devin asks", lambda delegation: quote_line(delegation.question)),
        ("Pull request", lambda delegation: delegation.pull_request.removeprefix("https://")),
        ("A deletion", lambda delegation: delegation.deletion.split(". ")[0] + "."),
    ]
    for label, value in rows:
        show_row(label, value(first[1]), value(second[1]))
    show_row("Requests", _requests(first[0]), _requests(second[0]))
    show_row("Task repeated", first[1].repeated_session_id, second[1].repeated_session_id)
    show_row(
        "",
        "same idempotency_key, same session",
        "same idempotency_key, so the session of v1: no second one was started",
    )


def _requests(server: DemoServer) -> str:
    """How many requests the server has sent to Devin, and the one that starts a session."""
    routes = [event["route"] for event in server.events() if event["event"] == "api_request"]
    starts = [route for route in routes if route.startswith("POST ") and "/sessions" in route]
    expect(starts != [], "the log has no request that starts a session")
    return f"{len(routes)}, such as {starts[0]}"
