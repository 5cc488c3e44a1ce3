"""Several processes that serve on one socket: started, replaced when one dies, ended together.

uvicorn's own supervisor cannot tell a worker that the end begins before its connections are closed, and restarts all
workers on SIGHUP, which a terminal sends when it is closed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from devin_mcp.observability import log, log_config, tracing
from devin_mcp.observability.log import event
from devin_mcp.settings.settings import Settings

SPARE = 3
"""Seconds beyond the grace after which a worker is killed."""
TOO_SOON = 5.0
"""A worker that lived no longer than these seconds did not really start."""
MOST_FAILURES = 5
"""Starts in a row that fail in every place before we give up: one that serves is better than none."""


def run_workers(settings: Settings, work: Callable[[], None], *, grace: int) -> int:
    """Run `work` in `settings.workers` processes until SIGTERM or SIGINT. Returns the exit status."""
    told, tell = Pipe(duplex=False)
    before = {
        number: signal.signal(number, lambda *_: tell.send(None))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    workers = [_Worker(settings, work) for _ in range(settings.workers)]
    failures = [0] * settings.workers
    try:
        while not told.poll() and min(failures) < MOST_FAILURES:
            wait([told, *(one.process.sentinel for one in workers)])
            dead = [place for place, one in enumerate(workers) if not one.process.is_alive()]
            for place in dead:
                failures[place] = failures[place] + 1 if workers[place].age < TOO_SOON else 0
                workers[place].bury()
            if dead and not told.poll(1.0 if any(failures[place] for place in dead) else 0.0):
                for place in dead:
                    workers[place] = _Worker(settings, work)
        return 0 if min(failures) < MOST_FAILURES else 1
    finally:
        _end(workers, grace + SPARE)
        for number, handler in before.items():
            signal.signal(number, handler)


class _Worker:
    def __init__(self, settings: Settings, work: Callable[[], None]) -> None:
        self._started = time.monotonic()
        self._counts = settings.metrics_port is not None
        self.process: SpawnProcess = get_context("spawn").Process(
            target=_live, args=(settings, work)
        )
        self.process.start()

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    def bury(self) -> None:
        self.process.join()
        event(
            "worker_died", level="warning", pid=self.process.pid, exit_status=self.process.exitcode
        )
        if self._counts and self.process.pid is not None:
            from devin_mcp.observability.metrics import forget

            forget(self.process.pid)


def _end(workers: list[_Worker], within: float) -> None:
    due = time.monotonic() + within
    for one in workers:
        one.process.terminate()
    for one in workers:
        one.process.join(max(0.0, due - time.monotonic()))
        if one.process.is_alive():
            event("worker_killed", level="warning", pid=one.process.pid)
            one.process.kill()
            one.process.join()


def _live(settings: Settings, work: Callable[[], None]) -> None:
    log_config.configure(settings.log_level, settings.log_format)
    tracing.configure()
    if settings.metrics_port is not None:
        from devin_mcp.observability.metrics import count_together

        count_together()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    work()


def _end_with_the_parent() -> None:
    """A parent that was killed could not tell its workers to end."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
