"""The demo's story: a delegation on v1, and what else a host can offer with the server."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from mcp import Client
from mcp.client.stdio import stdio_client
from mcp.types import (
    ElicitResult,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from devin_mcp.cli.demo.calls import (
    ANSWER,
    FAILURE_FILE,
    call,
    expect,
    last_message,
    refused_call,
    session_in,
    task_arguments,
)
from devin_mcp.cli.demo.comparison import Delegation, declined_deletion, pull_request_in
from devin_mcp.cli.demo.output import show_block, show_line, show_step
from devin_mcp.cli.demo.servers import DemoServer
from devin_mcp.observability.printable import quote_line

MAX_MESSAGE_CHARS = 300
DESCRIBED_TOOLS = ("devin_delegate_task", "devin_wait_for_sessions", "devin_send_message")


async def show_delegation(server: DemoServer, prompt: str, delegation: Delegation) -> None:
    """Delegate the task and show every step; `delegation` receives what the comparison needs."""
    async with Client(
        stdio_client(server.command, errlog=server.log), elicitation_callback=_decline
    ) as client:
        await _show_tools(client, delegation)
        await _start_session(client, prompt, delegation)
        waited = await call(
            client,
            "devin_wait_for_sessions",
            show_progress=_show_progress,
            session_ids=[delegation.session_id],
        )
        delegation.question = _show_update(waited, "waiting", delegation)
        show_step("You answer", ANSWER)
        answered = await call(
            client,
            "devin_send_message",
            show_progress=_show_progress,
            session_id=delegation.session_id,
            message=ANSWER,
            max_wait_s=45,
        )
        _show_update(answered, "done", delegation)
        delegation.pull_request = pull_request_in(session_in(answered, "done"))
        show_step("Pull request", delegation.pull_request)
        await _show_resources(client)
        await _show_prompts(client)
        await _show_safety(client, delegation)


async def _show_tools(client: Client, delegation: Delegation) -> None:
    title = client.server_info.title if client.server_info else ""
    protocol = client.protocol_version
    show_step("Connected", f"to a simulated {title}, protocol {protocol}, over stdio")
    tools = (await client.list_tools()).tools
    expect(tools != [], "there are no tools")
    delegation.tools = [tool.name for tool in tools]
    annotations = [tool.annotations for tool in tools if tool.annotations]
    read_only = sum(bool(annotation.read_only_hint) for annotation in annotations)
    destructive = sum(bool(annotation.destructive_hint) for annotation in annotations)
    show_step(
        "Tools", f"{len(tools)}, of which {read_only} are read-only and {destructive} destructive"
    )
    for tool in tools:
        if tool.name in DESCRIBED_TOOLS:
            show_line(f"{tool.name:<24} {(tool.description or '').split('. ')[0]}.")


async def _start_session(client: Client, prompt: str, delegation: Delegation) -> None:
    """Delegate the task, and repeat the call as a client does that lost the response."""
    task = task_arguments(prompt)
    show_step("You ask", prompt)
    show_line(
        f"with the file {FAILURE_FILE}, the playbook !fixtest, at most 5 ACUs and an "
        "idempotency_key"
    )
    started = await call(client, "devin_delegate_task", show_progress=_show_progress, **task)
    delegation.session_id = started["session_id"]
    delegation.phases.append(started["phase"])
    delegation.started.set()
    show_step("Session", f"{started['phase']}, {started['url']}")
    repeated = await call(client, "devin_delegate_task", **task)
    delegation.repeated_session_id = repeated["session_id"]
    expect(repeated["session_id"] == started["session_id"], "a second session was started")
    show_step("You retry", f"The same call returns the same session. {repeated['remark']}")


def _show_update(result: dict[str, Any], phase: str, delegation: Delegation) -> str:
    """Show Devin's last message and return it."""
    session = session_in(result, phase)
    delegation.phases.append(session["phase"])
    message = last_message(session)
    show_step("Devin says", quote_line(message, MAX_MESSAGE_CHARS))
    show_line(f"next: {result['next']}")
    return message


async def _show_resources(client: Client) -> None:
    """Resources and completion, which a host can offer without a model."""
    resources = (await client.list_resources()).resources
    template = "devin://playbooks/{playbook_id}"
    reference = ResourceTemplateReference(type="ref/resource", uri=template)
    argument = {"name": "playbook_id", "value": "fail"}
    ids = (await client.complete(reference, argument)).completion.values
    show_step(
        "Resources", f"{len(resources)}; 'fail' is completed to {', '.join(ids)} in {template}"
    )
    expect(len(ids) == 1, "nothing was completed")
    uri = template.format(playbook_id=ids[0])
    (content,) = (await client.read_resource(uri)).contents
    show_step("A resource", uri)
    show_block(content.text if isinstance(content, TextResourceContents) else "")


async def _show_prompts(client: Client) -> None:
    prompts = (await client.list_prompts()).prompts
    show_step("Prompts", ", ".join(f"/{prompt.name}" for prompt in prompts))
    result = await client.get_prompt(
        "fixtest", {"task": "tests/test_orders.py fails since Tuesday"}
    )
    expect(len(result.messages) == 2, "the prompt does not contain its playbook")
    text = result.messages[0].content
    show_step("/fixtest", "sends your assistant the playbook and this text:")
    show_block(text.text if isinstance(text, TextContent) else "", max_lines=11)


async def _show_safety(client: Client, delegation: Delegation) -> None:
    """A call with a malicious id, and a deletion that the user declines."""
    tool, session_id = "devin_terminate_session", "../secrets/secret-0001"
    show_step("A wrong id", f"{tool} {session_id} is rejected before a request")
    show_line(
        await refused_call(client, tool, session_id=session_id, failure="a wrong id was accepted")
    )
    delegation.deletion = await declined_deletion(client)
    show_line(delegation.deletion)


async def _decline(
    context: Any,  # noqa: ARG001 - a parameter of the SDK's callback
    params: Any,
) -> ElicitResult:
    show_step("A deletion", f"Your assistant asks for one, so you are asked: {params.message}")
    show_line("You decline.")
    return ElicitResult(action="decline")


async def _show_progress(
    progress: float,  # noqa: ARG001 - a parameter of the SDK's callback
    total: float | None,  # noqa: ARG001 - a parameter of the SDK's callback
    message: str | None,
) -> None:
    with suppress(BrokenPipeError):  # the SDK would log it; the next line ends the demo
        show_step("Progress", message or "")
