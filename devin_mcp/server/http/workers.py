"""Worker processes on one listening socket: starts them, replaces those that exit, stops them all.

uvicorn's own supervisor is not used: it closes a worker's connections before it signals the
shutdown, and it restarts all workers on SIGHUP, which a terminal sends when it is closed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from devin_mcp.observability import log_config, tracing
from devin_mcp.observability.log import event
from devin_mcp.settings import Settings
from devin_mcp.stop_signals import ignore_stop_signals, stop_signals

KILL_DELAY_SECONDS = 3
"""Seconds after the grace period at which a worker that still runs is killed."""
MIN_UPTIME_SECONDS = 5.0
"""A worker that exits earlier counts as a failed start."""
MAX_FAILED_STARTS = 5
"""Failed starts in a row, in every slot, before the server gives up. One slot that serves is enough
to go on.
"""
KEEP_CURRENT_SECONDS = 1.0
RESTART_DELAY_SECONDS = 1.0
"""Pause after a failed start."""


def run_workers(
    settings: Settings,
    target: Callable[[], None],
    *,
    grace: int,
    keep_current: Callable[[], None] | None = None,
    max_failed_starts: int = MAX_FAILED_STARTS,
    restart_delay: float = RESTART_DELAY_SECONDS,
) -> int:
    """Run `target` in `settings.workers` processes until a stop signal. Returns the exit status.

    `grace`: seconds that the workers have to finish. `keep_current` is called about once a second,
    and before a worker is replaced: what `target` refers to is pickled then. The exit status is 1
    when no worker can be started.
    """
    stop_requested, request_stop = Pipe(duplex=False)
    for number in stop_signals():
        signal.signal(number, lambda *_: request_stop.send(None))
    workers = [_Worker(settings, target) for _ in range(settings.workers)]
    failed_starts = [0] * settings.workers
    try:
        while not stop_requested.poll() and min(failed_starts) < max_failed_starts:
            wait(
                [stop_requested, *(worker.process.sentinel for worker in workers)],
                timeout=KEEP_CURRENT_SECONDS,
            )
            if keep_current is not None:
                keep_current()
            dead_slots = [
                slot for slot, worker in enumerate(workers) if not worker.process.is_alive()
            ]
            for slot in dead_slots:
                is_failed_start = workers[slot].uptime < MIN_UPTIME_SECONDS
                failed_starts[slot] = failed_starts[slot] + 1 if is_failed_start else 0
                workers[slot].reap()
            delay = restart_delay if any(failed_starts[slot] for slot in dead_slots) else 0.0
            if dead_slots and not stop_requested.poll(delay):
                for slot in dead_slots:
                    workers[slot] = _Worker(settings, target)
        return 0 if min(failed_starts) < max_failed_starts else 1
    finally:
        _stop(workers, grace + KILL_DELAY_SECONDS)
        ignore_stop_signals()


class _Worker:
    def __init__(self, settings: Settings, target: Callable[[], None]) -> None:
        self._started_at = time.monotonic()
        self._has_metrics = settings.metrics_port is not None
        self.process: SpawnProcess = get_context("spawn").Process(
            target=_run, args=(settings, target)
        )
        with _terminal_signals_blocked():
            self.process.start()

    @property
    def uptime(self) -> float:
        return time.monotonic() - self._started_at

    def reap(self) -> None:
        """Log a dead worker and remove its metrics from the shared directory."""
        self.process.join()
        event(
            "worker_exited",
            level="warning",
            pid=self.process.pid,
            exit_status=self.process.exitcode,
        )
        if self._has_metrics and self.process.pid is not None:
            from devin_mcp.observability.metrics import forget

            forget(self.process.pid)


@contextmanager
def _terminal_signals_blocked() -> Iterator[None]:
    """What is started here never receives SIGINT and SIGHUP.

    A terminal sends them to the workers, too, even while they start. Only the parent may handle
    them, and stops the workers by SIGTERM.
    """
    if sys.platform == "win32":
        yield
        return
    from multiprocessing import resource_tracker

    terminal_signals = (signal.SIGINT, signal.SIGHUP)
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, terminal_signals)
    try:
        # Starting the first worker would start it, too, and that unblocks SIGINT.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, terminal_signals)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _stop(workers: list[_Worker], timeout: float) -> None:
    """Terminate the workers; kill those that still run after `timeout` seconds."""
    kill_at = time.monotonic() + timeout
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, kill_at - time.monotonic()))
        if worker.process.is_alive():
            event("worker_killed", level="warning", pid=worker.process.pid)
            worker.process.kill()
            worker.process.join()


def _run(settings: Settings, target: Callable[[], None]) -> None:
    """Runs in the worker process, which inherits no configuration."""
    log_config.configure(settings.log_level, settings.log_format)
    tracing.configure(stdio=False)
    if settings.metrics_port is not None:
        from devin_mcp.observability.metrics import count_together

        count_together()
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    target()


def _exit_with_parent() -> None:
    """Stop this worker when the parent is gone: a parent that was killed could not stop its
    workers.
    """
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
