"""The signals that stop a server."""

from __future__ import annotations

import os
import signal
import sys


def stop_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, SIGINT and, where it is not ignored, SIGHUP, which a closed terminal sends.

    nohup makes a process ignore SIGHUP. Windows does not have it.
    """
    if sys.platform == "win32" or ignores_hangup():
        return (signal.SIGTERM, signal.SIGINT)
    return (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def end_start_at_sigterm() -> None:
    """Let SIGTERM end a process that is still starting, with the exit status of a server that has
    stopped, also in a container: the kernel drops a signal that process 1 does not handle.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))


def ignore_stop_signals() -> None:
    """The server has stopped: a signal that comes before the process has exited changes nothing.

    With Python's own handlers it would change the exit status or print a traceback.
    """
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


def ignores_hangup() -> bool:
    """True under nohup: the process is to outlive the terminal and the parent."""
    return sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
