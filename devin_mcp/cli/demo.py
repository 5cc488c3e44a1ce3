"""`devin-mcp demo`: shows a complete delegation to a simulated Devin.

Runs the real server as a subprocess and calls it with the official MCP client.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
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

from devin_mcp.cli.config_files import this_command
from devin_mcp.cli.terminal import print_wrapped
from devin_mcp.settings.environment import environment_without_settings

PROMPT = (
    "Orders with a negative price are accepted. Add a check, with tests, and open a pull request."
)
FAILURE = "FAILED tests/test_orders.py::test_negative_price - assert 200 == 422\n"
ANSWER = "Strict, please: refuse the order with a 422."
DESCRIBED_TOOLS = ("devin_delegate_task", "devin_wait_for_sessions", "devin_send_message")
TIMEOUT_SECONDS = 20.0
INDENT = " " * 22
LOG_FIELDS = (
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


class DemoFailure(Exception):
    """A step had an unexpected result."""


def run_demo(prompt: str = PROMPT) -> int:
    """Run the demo with a task. Returns 0 if every step had the expected result, else 1.

    Raises BrokenPipeError if the reader of the output has exited.
    """
    failure, output_is_closed = "", False
    with (
        tempfile.TemporaryDirectory() as directory,
        (Path(directory) / "log").open("w+", encoding="utf-8") as log,
    ):
        project = Path(directory) / "project"
        project.mkdir()
        (project / "failure.txt").write_text(FAILURE, encoding="utf-8")
        try:
            anyio.run(_delegate, log, str(project), prompt)
            _show_log(log)
        except* DemoFailure as group:  # the client's task group wraps exceptions
            failure = str(_first(group))
        except* TimeoutError:
            failure = f"it took longer than {TIMEOUT_SECONDS:g} seconds"
        except* BrokenPipeError:
            output_is_closed = True
    if output_is_closed:
        raise BrokenPipeError
    if failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    server = this_command()
    command = shlex.join((server.command, *server.args))
    print(
        "\nThis was a simulation: no key, no network, no cost. To use the real Devin from Claude "
        "Code, set DEVIN_API_KEY and run\n"
        f"  claude mcp add devin -s user -e 'DEVIN_API_KEY=${{DEVIN_API_KEY}}' -- {command}\n"
        "For other clients, see devin-mcp config."
    )
    return 0


def _first(group: BaseExceptionGroup[DemoFailure]) -> BaseException:
    exception = group.exceptions[0]
    return _first(exception) if isinstance(exception, BaseExceptionGroup) else exception


async def _delegate(log: TextIO, directory: str, prompt: str) -> None:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "devin_mcp", "--sandbox", "--log-format", "json", "--files-root", directory],
        env=environment_without_settings(),
    )
    with anyio.fail_after(TIMEOUT_SECONDS):
        async with Client(
            stdio_client(command, errlog=log), elicitation_callback=_decline
        ) as client:
            await _show_tools(client)
            session_id = await _start_session(client, prompt)
            waiting = await _call(client, "devin_wait_for_sessions", session_ids=[session_id])
            _show_update(waiting, "waiting")
            _step("You answer", ANSWER)
            answered = await _call(
                client, "devin_send_message", session_id=session_id, message=ANSWER, max_wait_s=45
            )
            session = _show_update(answered, "done")
            _expect("pull_requests" in session, "there is no pull request")
            _step("Pull request", session["pull_requests"][0]["url"])
            await _show_resources(client)
            await _show_prompts(client)
            await _show_safety(client)


async def _show_tools(client: Client) -> None:
    title = client.server_info.title if client.server_info else ""
    _step("Connected", f"{title}, protocol {client.protocol_version}, over stdio")
    tools = (await client.list_tools()).tools
    _expect(tools != [], "there are no tools")
    annotations = [tool.annotations for tool in tools if tool.annotations]
    read_only = sum(bool(annotation.read_only_hint) for annotation in annotations)
    destructive = sum(bool(annotation.destructive_hint) for annotation in annotations)
    _step(
        "Tools", f"{len(tools)}, of which {read_only} are read-only and {destructive} destructive"
    )
    for tool in tools:
        if tool.name in DESCRIBED_TOOLS:
            _line(f"{tool.name:<24} {(tool.description or '').split('. ')[0]}.")


async def _start_session(client: Client, prompt: str) -> str:
    """Delegate the task, and repeat the call as a client does that lost the response."""
    task = {
        "prompt": prompt,
        "repository": "acme/shop-api",
        "playbook": "!fixtest",
        "files": ["failure.txt"],
        "max_acu_limit": 5,
        "idempotency_key": "negative prices",
    }
    _step("You ask", prompt)
    _line("with the file failure.txt, the playbook !fixtest, at most 5 ACUs and an idempotency_key")
    started = await _call(client, "devin_delegate_task", **task)
    _step("Session", f"{started['phase']}, {started['url']}")
    repeated = await _call(client, "devin_delegate_task", **task)
    _expect(repeated["session_id"] == started["session_id"], "a second session was started")
    _step("You retry", f"The same call returns the same session. {repeated['remark']}")
    return str(started["session_id"])


def _show_update(result: dict[str, Any], phase: str) -> dict[str, Any]:
    """Show Devin's last message. Returns the session."""
    (session,) = result["sessions"]
    _expect(session["phase"] == phase, f"the session is {session['phase']} instead of {phase}")
    messages = [message for message in session.get("messages", []) if message["source"] == "devin"]
    _expect(messages != [], "there is no message from Devin")
    _step("Devin says", messages[-1]["message"].split("\n")[0])
    _line(f"next: {result['next']}")
    return dict(session)


async def _show_resources(client: Client) -> None:
    """Resources and completion, which a host can offer without a model."""
    resources = (await client.list_resources()).resources
    template = "devin://playbooks/{playbook_id}"
    reference = ResourceTemplateReference(type="ref/resource", uri=template)
    argument = {"name": "playbook_id", "value": "fail"}
    ids = (await client.complete(reference, argument)).completion.values
    _step("Resources", f"{len(resources)}; 'fail' is completed to {', '.join(ids)} in {template}")
    _expect(len(ids) == 1, "nothing was completed")
    uri = template.format(playbook_id=ids[0])
    (content,) = (await client.read_resource(uri)).contents
    _step("A resource", uri)
    _block(content.text if isinstance(content, TextResourceContents) else "")


async def _show_prompts(client: Client) -> None:
    prompts = (await client.list_prompts()).prompts
    _step("Prompts", ", ".join(f"/{prompt.name}" for prompt in prompts))
    result = await client.get_prompt(
        "fixtest", {"task": "tests/test_orders.py fails since Tuesday"}
    )
    _expect(len(result.messages) == 2, "the prompt does not contain its playbook")
    text = result.messages[0].content
    _step("/fixtest", "sends your assistant the playbook and this text:")
    _block(text.text if isinstance(text, TextContent) else "", max_lines=11)


async def _show_safety(client: Client) -> None:
    """A call with a malicious id, and a deletion that the user declines."""
    _step(
        "A wrong id", "devin_terminate_session ../secrets/secret-0001 is rejected before a request"
    )
    result = await client.call_tool(
        "devin_terminate_session", {"session_id": "../secrets/secret-0001"}
    )
    _expect(_is_error(result), "a wrong id was accepted")
    _line(_text(result))
    result = await client.call_tool("devin_delete_playbook", {"playbook_id": "playbook-0001"})
    _expect(_is_error(result), "a playbook was deleted although the user declined")
    _line(_text(result))


async def _decline(
    context: Any,  # noqa: ARG001 - a parameter of the SDK's callback
    params: Any,
) -> ElicitResult:
    _step("A deletion", f"Your assistant asks for one, so you are asked: {params.message}")
    _line("You decline.")
    return ElicitResult(action="decline")


async def _show_progress(
    progress: float,  # noqa: ARG001 - a parameter of the SDK's callback
    total: float | None,  # noqa: ARG001 - a parameter of the SDK's callback
    message: str | None,
) -> None:
    _step("Progress", message or "")


async def _call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured result of a tool. Raises DemoFailure if it is an error."""
    result = await client.call_tool(tool, arguments, progress_callback=_show_progress)
    _expect(isinstance(result, CallToolResult) and not result.is_error, f"{tool}: {_text(result)}")
    _expect(result.structured_content is not None, f"{tool} has no structured content")
    return dict(result.structured_content or {})


def _is_error(result: Any) -> bool:
    return isinstance(result, CallToolResult) and bool(result.is_error)


def _text(result: Any) -> str:
    return " ".join(
        part.text for part in getattr(result, "content", []) if isinstance(part, TextContent)
    )


def _expect(condition: bool, failure: str) -> None:
    if not condition:
        raise DemoFailure(failure)


_started_at = time.monotonic()


def _step(label: str, text: str) -> None:
    print_wrapped(f"{time.monotonic() - _started_at:5.1f}s  {label:<13} ", text)


def _line(text: str) -> None:
    print_wrapped(INDENT, text)


def _block(text: str, max_lines: int = 100) -> None:
    lines = text.split("\n")
    for line in lines[:max_lines]:
        _line(line) if line else print(flush=True)
    if len(lines) > max_lines:
        _line("...")


def _show_log(log: TextIO) -> None:
    """Show the last calls in the log."""
    log.seek(0)
    events = [json.loads(line) for line in log if line.startswith("{")]
    calls = [event for event in events if event["event"] == "mcp_call"]
    requests = sum(event["event"] == "api_request" for event in events)
    _expect(calls != [], "nothing was logged")
    print(
        f"\nThe log (JSON lines on stderr): {len(calls)} calls, {requests} requests. "
        "The last three calls:"
    )
    for call in calls[-3:]:
        print("  " + json.dumps({name: call[name] for name in LOG_FIELDS if name in call}))
