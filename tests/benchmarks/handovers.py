"""`python -m tests.benchmarks.handovers`: counts how often one call changes the file that it runs
in.

A hand-over is a call of one of our functions by our code in another file. Few of them mean that a
call can be read from top to bottom.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, Self

from mcp import Client

import devin_mcp
from devin_mcp.observability import log, log_config
from devin_mcp.server.build import build
from devin_mcp.settings import resolve

PACKAGE = str(Path(devin_mcp.__file__).parent)
SANDBOX = str(Path(PACKAGE) / "sandbox")


class CallTrace:
    """Records every call of a function of devin_mcp while the block runs."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        """File and function."""
        self.handovers = 0
        self._frames: list[FrameType] = []
        """Kept alive, because a resumed coroutine is entered again with the same frame."""

    def __enter__(self) -> Self:
        sys.setprofile(self._on_event)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not _is_ours(frame) or any(frame is seen for seen in self._frames):
            return
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            caller = caller.f_back
        if caller is not None and not _is_ours(caller):  # called by the sandbox
            return
        self._frames.append(frame)
        file = frame.f_code.co_filename
        self.calls.append((file.removeprefix(PACKAGE + "/"), frame.f_code.co_name))
        if caller is None or caller.f_code.co_filename != file:
            self.handovers += 1

    @property
    def changes(self) -> int:
        """Consecutive calls in different files."""
        return sum(first[0] != second[0] for first, second in pairwise(self.calls))


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(PACKAGE) and not file.startswith(SANDBOX)


async def trace_calls(*, verbose: bool) -> None:
    """Print a line for each of three calls against the sandbox."""
    async with Client(build(resolve({"sandbox": ["true"]}, {}), "stdio")) as client:
        created = await client.call_tool(
            "devin_create_session", {"prompt": "sandbox:forever Add a check."}
        )
        session_id = (created.structured_content or {})["session_id"]
        await client.call_tool("devin_get_session", {"session_id": session_id})
        log.flush()  # the first line loads what makes lines
        calls: list[tuple[str, dict[str, Any]]] = [
            ("devin_get_session", {"session_id": session_id}),
            ("devin_delegate_task", {"prompt": "sandbox:forever Add another."}),
            ("devin_wait_for_sessions", {"session_ids": [session_id], "max_wait_s": 1}),
        ]
        print(f"{'call':<26} {'functions':>9} {'files':>6} {'hand-overs':>11} {'changes':>8}")
        for tool, arguments in calls:
            with CallTrace() as trace:
                await client.call_tool(tool, arguments)
            files = {file for file, _ in trace.calls}
            print(
                f"{tool:<26} {len(trace.calls):>9} {len(files):>6} {trace.handovers:>11} "
                f"{trace.changes:>8}"
            )
            if verbose and tool == "devin_get_session":
                for file, function in trace.calls:
                    print(f"    {file:<42} {function}")


if __name__ == "__main__":
    log_config.configure("error", "json")
    logging.disable()
    asyncio.run(trace_calls(verbose="-v" in sys.argv))
