"""`devin-mcp demo`: a whole delegation, with the real server as a subprocess, the official client, and a simulated Devin."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, TextIO

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import (
    CallToolResult,
    ElicitResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from devin_mcp.cli.install import this_command
from devin_mcp.settings.settings import child_environment

PROMPT = (
    "Orders with a negative price are accepted. Add a check, with tests, and open a pull request."
)
FAILURE = "FAILED tests/test_orders.py::test_negative_price - assert 200 == 422\n"
ANSWER = "Strict, please: refuse the order with a 422."
SHOWN = ("devin_delegate_task", "devin_wait_for_sessions", "devin_send_message")
LONGEST = 20.0
WIDTH = 110
INDENT = " " * 22


class DemoFailure(Exception):
    """A step did not do what it should."""


def run() -> int:
    """Show it; 0 only when every step did what it should."""
    failed = False
    with (
        tempfile.TemporaryDirectory() as folder,
        (Path(folder) / "log").open("w+", encoding="utf-8") as log,
    ):
        project = Path(folder) / "project"
        project.mkdir()
        (project / "failure.txt").write_text(FAILURE, encoding="utf-8")
        try:
            anyio.run(_show, log, str(project))
            _show_log(log)
        except* DemoFailure as surprises:  # the client's task group wraps what is raised inside it
            print(f"\nThis should not have happened: {_first(surprises)}", file=sys.stderr)
            failed = True
        except* TimeoutError:
            print(f"\nThis took longer than {LONGEST:g} seconds.", file=sys.stderr)
            failed = True
    if failed:
        return 1
    here = this_command()
    print(
        "\nThat was a simulation: no key, no network, no money. For the real one give your client this command, and DEVIN_API_KEY;"
    )
    print(
        f"with Claude Code:  claude mcp add devin -s user -e 'DEVIN_API_KEY=${{DEVIN_API_KEY}}' -- {shlex.join((here.command, *here.args))}"
    )
    return 0


def _first(group: BaseExceptionGroup[DemoFailure]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def _show(log: TextIO, folder: str) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "devin_mcp", "--sandbox", "--log-format", "json", "--files-root", folder],
        env=child_environment(),
    )
    with anyio.fail_after(LONGEST):
        async with Client(
            stdio_client(command, errlog=log), elicitation_callback=_decline
        ) as client:
            await _connect(client)
            session_id = await _hand_over(client)
            asked = await _call(client, "devin_wait_for_sessions", session_ids=[session_id])
            _news(asked, "waiting")
            _step("You answer", ANSWER)
            answered = await _call(
                client, "devin_send_message", session_id=session_id, message=ANSWER, max_wait_s=45
            )
            delivered = _news(answered, "done")
            _expect("pull_requests" in delivered, "there is no pull request")
            _step("Pull request", delivered["pull_requests"][0]["url"])
            await _browse(client)
            await _go_wrong(client)


async def _connect(client: Client) -> None:
    title = client.server_info.title if client.server_info else ""
    _step("Connected", f"{title}, protocol {client.protocol_version}, over stdio")
    tools = (await client.list_tools()).tools
    _expect(tools != [], "there are no tools")
    reads = sum(bool(tool.annotations and tool.annotations.read_only_hint) for tool in tools)
    destroys = sum(bool(tool.annotations and tool.annotations.destructive_hint) for tool in tools)
    _step("Tools", f"{len(tools)}: {reads} only read, {destroys} destroy and say so")
    for tool in (one for one in tools if one.name in SHOWN):
        _line(f"{tool.name:<24} {(tool.description or '').split('. ')[0]}.")


async def _hand_over(client: Client) -> str:
    """Once, and once more as an assistant would that lost the answer."""
    task = {
        "prompt": PROMPT,
        "repository": "acme/shop-api",
        "playbook": "!fixtest",
        "files": ["failure.txt"],
        "max_acu_limit": 5,
        "idempotency_key": "negative prices",
    }
    _step("You ask", PROMPT)
    _line("with the file failure.txt, the playbook !fixtest, at most 5 ACUs, and a idempotency_key")
    made = await _call(client, "devin_delegate_task", **task)
    _step("Session", f"{made['phase']}, {made['url']}")
    again = await _call(client, "devin_delegate_task", **task)
    _expect(again["session_id"] == made["session_id"], "the same task was started twice")
    _step("You ask again", f"the same session. {again['remark']}")
    return str(made["session_id"])


async def _told(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the client passes them
    _step("Meanwhile", message or "")


def _news(answer: dict[str, Any], phase: str) -> dict[str, Any]:
    """What one wait brought."""
    (session,) = answer["sessions"]
    _expect(session["phase"] == phase, f"the session is {session['phase']} and should be {phase}")
    said = [
        message for message in session.get("messages", []) if message["type"] == "devin_message"
    ]
    _expect(said != [], "Devin said nothing")
    _step("Devin says", said[-1]["message"].split("\n")[0])
    _line(f"next: {answer['next']}")
    return dict(session)


async def _browse(client: Client) -> None:
    """What a host can show without asking a model: resources to attach, completion, prompts as slash commands."""
    resources = (await client.list_resources()).resources
    reference = ResourceTemplateReference(
        type="ref/resource", uri="devin://playbooks/{playbook_id}"
    )
    found = (
        await client.complete(reference, {"name": "playbook_id", "value": "fail"})
    ).completion.values
    _step(
        "You browse",
        f"{len(resources)} resources; typing 'fail' into playbook_id completes to {', '.join(found)}",
    )
    _expect(len(found) == 1, "nothing was completed")
    (content,) = (await client.read_resource(f"devin://playbooks/{found[0]}")).contents
    _step("A resource", f"devin://playbooks/{found[0]}")
    _block(content.text if isinstance(content, TextResourceContents) else "")
    prompts = (await client.list_prompts()).prompts
    _step("Prompts", ", ".join(f"/{prompt.name}" for prompt in prompts))
    filled = await client.get_prompt(
        "fixtest", {"task": "tests/test_orders.py fails since Tuesday"}
    )
    _expect(len(filled.messages) == 2, "the prompt does not bring its playbook along")
    text = filled.messages[0].content
    _step("/fixtest", "puts this before your assistant, with the playbook attached:")
    _block(text.text if isinstance(text, TextContent) else "", most=11)


async def _go_wrong(client: Client) -> None:
    result = await client.call_tool(
        "devin_terminate_session", {"session_id": "../secrets/secret-0001"}
    )
    _expect(isinstance(result, CallToolResult) and bool(result.is_error), "a wrong id was taken")
    _step(
        "A wrong id",
        "devin_terminate_session ../secrets/secret-0001 is refused before a request exists",
    )
    _line(_text(result))
    result = await client.call_tool("devin_delete_playbook", {"playbook_id": "playbook-0001"})
    _expect(
        bool(getattr(result, "is_error", False)), "something was deleted though the user declined"
    )
    _line(_text(result))


async def _decline(context: Any, params: Any) -> ElicitResult:  # noqa: ARG001 - the client passes both
    _step("A deletion", f"your assistant tries one, so you are asked: {params.message}")
    _line("You decline.")
    return ElicitResult(action="decline")


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments, progress_callback=_told)
    _expect(isinstance(result, CallToolResult) and not result.is_error, f"{tool}: {_text(result)}")
    _expect(result.structured_content is not None, f"{tool} answered without data")
    return dict(result.structured_content or {})


def _text(result: Any) -> str:
    return " ".join(
        part.text for part in getattr(result, "content", []) if isinstance(part, TextContent)
    )


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailure(otherwise)


_started = time.monotonic()


def _step(what: str, text: str) -> None:
    head = f"{time.monotonic() - _started:5.1f}s  {what:<13} "
    print(textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=INDENT), flush=True)


def _line(text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT), flush=True)


def _block(text: str, most: int = 100) -> None:
    lines = text.split("\n")
    for line in lines[:most]:
        _line(line) if line else print(flush=True)
    if len(lines) > most:
        _line("...")


def _show_log(log: TextIO) -> None:
    """The last calls as the log has them: what was done, how it ended, how long it took."""
    log.seek(0)
    events = [json.loads(line) for line in log if line.startswith("{")]
    calls = [event for event in events if event["event"] == "mcp_call"]
    requests = sum(event["event"] == "api_request" for event in events)
    _expect(calls != [], "nothing was logged")
    print(
        f"\nThe log (JSON lines on stderr): {len(calls)} calls, {requests} requests. The last three:"
    )
    for call in calls[-3:]:
        kept = (
            "event",
            "call_id",
            "method",
            "tool",
            "resource",
            "prompt",
            "effect",
            "outcome",
            "error",
            "duration_ms",
            "attempts",
            "status",
        )
        print("  " + json.dumps({name: call[name] for name in kept if name in call}))
