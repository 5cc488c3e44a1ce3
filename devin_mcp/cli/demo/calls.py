"""Calls of a server's tools, and what the demo expects of their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp import Client
from mcp.types import CallToolResult, TextContent

if TYPE_CHECKING:
    from mcp.shared.dispatcher import ProgressFnT

PROMPT = (
    "Orders with a negative price are accepted. Add a check, with tests, and open a pull request."
)
FAILURE_FILE = "failure.txt"
FAILURE = "FAILED tests/test_orders.py::test_negative_price - assert 200 == 422\n"
ANSWER = "Strict, please: refuse the order with a 422."
IDEMPOTENCY_KEY = "negative prices"


class DemoFailure(Exception):
    """A step had an unexpected result."""


def expect(condition: bool, failure: str) -> None:
    if not condition:
        raise DemoFailure(failure)


def task_arguments(prompt: str, idempotency_key: str = IDEMPOTENCY_KEY) -> dict[str, Any]:
    """The arguments of devin_delegate_task, the same for both APIs."""
    return {
        "prompt": prompt,
        "repository": "acme/shop-api",
        "playbook": "!fixtest",
        "files": [FAILURE_FILE],
        "max_acu_limit": 5,
        "idempotency_key": idempotency_key,
    }


async def call(
    client: Client, tool: str, *, show_progress: ProgressFnT | None = None, **arguments: Any
) -> dict[str, Any]:
    """The structured result of a tool. Raises DemoFailure if it is an error."""
    result = await client.call_tool(tool, arguments, progress_callback=show_progress)
    expect(isinstance(result, CallToolResult) and not result.is_error, f"{tool}: {text_of(result)}")
    expect(result.structured_content is not None, f"{tool} has no structured content")
    return dict(result.structured_content or {})


async def refused_call(client: Client, tool: str, *, failure: str, **arguments: Any) -> str:
    """The text of a call that must be refused. Raises DemoFailure with `failure` if it is not."""
    result = await client.call_tool(tool, arguments)
    expect(isinstance(result, CallToolResult) and bool(result.is_error), failure)
    return text_of(result)


def session_in(result: dict[str, Any], phase: str) -> dict[str, Any]:
    """The session of a result of waiting or of a write, which must be in this phase."""
    (session,) = result.get("sessions", [result])
    expect(session["phase"] == phase, f"the session is {session['phase']} instead of {phase}")
    return dict(session)


def last_message(session: dict[str, Any]) -> str:
    """The first line of Devin's last message."""
    messages = [message for message in session.get("messages", []) if message["source"] == "devin"]
    expect(messages != [], "there is no message from Devin")
    return str(messages[-1]["message"].split("\n")[0])


def text_of(result: Any) -> str:
    return " ".join(
        part.text for part in getattr(result, "content", []) if isinstance(part, TextContent)
    )
