"""Whether the host of a stdio server is still there, where the end of the input does not say so."""

from __future__ import annotations

import os
import sys

import anyio

from devin_mcp.stop_signals import ignores_hangup

CHECK_INTERVAL_SECONDS = 1.0


class Host:
    """The process that started this one and, as a rule, reads its output.

    On Windows nothing can be checked; there a write fails when the host is gone.
    """

    def __init__(self) -> None:
        self._parent_id = os.getppid()
        # The SDK puts another file in the place of standard output.
        self._output = os.dup(sys.stdout.fileno())

    def problem(self) -> str:
        """Why nobody can need this server any more, or an empty text."""
        if self._is_output_closed():
            return "standard output was closed"
        if os.getppid() != self._parent_id and not ignores_hangup():
            return "the process that started this server has ended"
        return ""

    async def wait_for_problem(self) -> str:
        """Wait until there is a problem, which a poll finds even while nothing is written.

        A host that was killed may leave the pipes open: another process can have inherited them.
        """
        while not (problem := self.problem()):  # noqa: ASYNC110 - the parent's end is no event
            await anyio.sleep(CHECK_INTERVAL_SECONDS)
        return problem

    def _is_output_closed(self) -> bool:
        if sys.platform == "win32":
            return False
        import select

        poller = select.poll()
        poller.register(self._output, 0)  # errors are reported in any case
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poller.poll(0))
