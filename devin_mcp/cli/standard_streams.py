"""Standard streams that were closed before the start, or whose reader has exited."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

from devin_mcp.observability.printable import printable
from devin_mcp.settings import SettingsError

STREAMS = {"stdin": "standard input", "stdout": "standard output", "stderr": "standard error"}
"""In the order of their descriptors, 0 to 2."""


def open_missing_streams() -> list[str]:
    """Open the null device in the place of each stream that was closed before the start.

    Otherwise the next file or socket would get its descriptor, and with it what is written to
    the stream. Returns the names of the streams.
    """
    missing = [name for name in STREAMS if getattr(sys, name) is None]
    for name in missing:
        descriptor = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        os.set_inheritable(descriptor, True)  # for worker processes
        setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", encoding="utf-8"))
    return missing


def check_pipes(missing_streams: Sequence[str]) -> None:
    """Raise SettingsError if no client could talk to a server over stdio."""
    for name in missing_streams:
        if name != "stderr":  # the server works without a log
            raise SettingsError(
                f"{STREAMS[name]} is closed, so no client can talk to this server; "
                "`devin-mcp http` serves without it"
            )


def flush_output(more: str = "") -> OSError | None:
    """Write `more` and what is buffered to standard output. Returns the error if that fails.

    Python would report the error after the end of the command, as an exception that is ignored.
    """
    return _write(sys.stdout, more)


def print_error(text: str) -> None:
    """Print a text, which may contain somebody else's, to standard error if it can be written."""
    _write(sys.stderr, f"{printable(text, keep_line_ends=True)}\n")


def _write(stream: TextIO, text: str) -> OSError | None:
    """Write and flush. After an error, what is buffered goes to the null device."""
    try:
        if text:  # an unbuffered stream would write even nothing, which fails on a closed terminal
            stream.write(text)
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        stream.flush()
        return error
    return None
