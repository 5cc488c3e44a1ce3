"""`python -m devin_mcp.cli.container_health`: the health check of the image, for any command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from devin_mcp.cli.command_line import parse_arguments
from devin_mcp.settings import resolve

TIMEOUT_SECONDS = 2.0
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nothing is bound here
"""Where a server answers that listens on all addresses."""
COMMAND_LINE = Path("/proc/1/cmdline")
"""Of the container's first process."""
PROGRAMS = ("devin_mcp", "devin-mcp")
"""As they are started: `python -m devin_mcp`, and the command."""


def health_url(command_line: Sequence[str]) -> str | None:
    """/healthz of the `devin-mcp http` with this command line; None for another command."""
    start = next(
        (index for index, word in enumerate(command_line) if Path(word).name in PROGRAMS),
        len(command_line),
    )
    options, flags = parse_arguments(command_line[start + 1 :])
    if options.command != "http":
        return None
    settings = resolve(flags)
    return f"http://{LOOPBACK.get(settings.host, settings.host)}:{settings.port}/healthz"


def main() -> int:
    """The exit status, 0 if healthy. A server without /healthz, such as stdio, is healthy while it
    runs.
    """
    url = health_url(COMMAND_LINE.read_text().rstrip("\0").split("\0"))
    if url is None:
        return 0
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS):  # noqa: S310 - http, made above
            return 0
    except OSError as problem:
        print(f"{url}: {problem}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
