"""Runs the demo: one simulated Devin, and a server for each of its APIs side by side.

The servers are real ones, run as subprocesses and called with the official MCP client.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from devin_mcp.cli.config_files import this_command
from devin_mcp.cli.demo.calls import FAILURE, FAILURE_FILE, PROMPT, DemoFailure, expect
from devin_mcp.cli.demo.comparison import Delegation, delegate_on_v3, show_comparison
from devin_mcp.cli.demo.delegation import show_delegation
from devin_mcp.cli.demo.servers import DemoServer, simulated_devin
from devin_mcp.cli.standard_streams import print_error

TIMEOUT_SECONDS = 20.0
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


def run_demo(prompt: str = PROMPT) -> int:
    """Run the demo with a task. Returns 0 if every step had the expected result, else 1.

    Raises BrokenPipeError if the reader of the output has exited.
    """
    failure, output_is_closed = "", False
    with _demo_servers() as (v1, v3):
        try:
            anyio.run(_run, v1, v3, prompt)
            _show_log(v1)
        except* DemoFailure as group:  # the client's task group wraps exceptions
            failure = str(_first(group))
        except* TimeoutError:
            failure = f"it took longer than {TIMEOUT_SECONDS:g} seconds"
        except* BrokenPipeError:
            output_is_closed = True
    if output_is_closed:
        raise BrokenPipeError
    if failure:
        print_error(f"\nThe demo failed: {failure}")
        return 1
    server = this_command()
    command = shlex.join((server.command, *server.args))
    print(
        "\nThis was a simulation: no real key, nothing left this machine, no cost. To use the real "
        "Devin from Claude\nCode, set DEVIN_API_KEY to a key of either API and run\n"
        f"  claude mcp add devin -s user -e 'DEVIN_API_KEY=${{DEVIN_API_KEY}}' -- {command}\n"
        "For other clients, see devin-mcp config."
    )
    return 0


@contextmanager
def _demo_servers() -> Iterator[tuple[DemoServer, DemoServer]]:
    """The servers for v1 and v3, not started yet, with a project that has a file to attach."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        project = directory / "project"
        project.mkdir()
        (project / FAILURE_FILE).write_text(FAILURE, encoding="utf-8")
        logs = [
            stack.enter_context((directory / name).open("w+", encoding="utf-8"))
            for name in ("v1.log", "v3.log")
        ]
        address = stack.enter_context(simulated_devin())
        yield (
            DemoServer("v1", address, project, logs[0]),
            DemoServer("v3", address, project, logs[1]),
        )


def _first(group: BaseExceptionGroup[DemoFailure]) -> BaseException:
    exception = group.exceptions[0]
    return _first(exception) if isinstance(exception, BaseExceptionGroup) else exception


async def _run(v1: DemoServer, v3: DemoServer, prompt: str) -> None:
    """Delegate on both APIs at once; only the delegation on v1 is shown while it runs."""
    first, second = Delegation(), Delegation()
    with anyio.fail_after(TIMEOUT_SECONDS):
        async with anyio.create_task_group() as group:
            group.start_soon(delegate_on_v3, v3, prompt, first, second)
            await show_delegation(v1, prompt, first)
    show_comparison((v1, first), (v3, second))


def _show_log(server: DemoServer) -> None:
    """Show the last calls in the log."""
    events = server.events()
    calls = [event for event in events if event["event"] == "mcp_call"]
    requests = sum(event["event"] == "api_request" for event in events)
    expect(calls != [], "nothing was logged")
    print(
        f"\nThe log of the first server (JSON lines on stderr): {len(calls)} calls, {requests} "
        "requests. The last three calls:"
    )
    for call in calls[-3:]:
        print("  " + json.dumps({name: call[name] for name in LOG_FIELDS if name in call}))
