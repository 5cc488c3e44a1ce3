"""The `devin-mcp` command: runs what the command line asks for.

Imports nothing heavy until a command needs it, so that --version and --help respond at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping, Sequence
from io import TextIOWrapper
from types import SimpleNamespace
from typing import Any

from devin_mcp.cli.standard_streams import (
    STREAMS,
    check_pipes,
    flush_output,
    open_missing_streams,
    print_error,
)
from devin_mcp.settings import Settings, SettingsError, resolve, sources
from devin_mcp.stop_signals import end_start_at_sigterm

Namespace = Any
"""What argparse returns; the module is loaded only for a command line that is not empty."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns its exit status, which is 2 for a wrong flag or setting."""
    end_start_at_sigterm()
    missing_streams = open_missing_streams()
    status, error, more = 0, None, ""
    try:
        status = _main(sys.argv[1:] if argv is None else argv, missing_streams)
    except SystemExit as end:  # argparse ends --help and --version like this
        status = int(end.code or 0)
    except OSError as raised:
        error, more = raised, "\n"  # shows whether output is the cause: that fails again
    problem = flush_output(more)
    if isinstance(problem or error, BrokenPipeError):
        return status  # the reader of our output has exited, as in `devin-mcp tools | head`
    if problem is not None:
        print_error(f"devin-mcp: {STREAMS['stdout']} cannot be written: {problem.strerror}")
        return 1
    if error is not None:
        raise error
    return status


def _main(argv: Sequence[str], missing_streams: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack a character that we print
            stream.reconfigure(errors="backslashreplace")
    try:
        options: Namespace = SimpleNamespace(command="stdio")
        flags: dict[str, list[str]] = {}
        if argv:  # most hosts start the server without any, and wait for it
            from devin_mcp.cli.command_line import parse_arguments

            options, flags = parse_arguments(argv)
        if options.command == "stdio":
            check_pipes(missing_streams)
        return _run(options, resolve(flags), flags)
    except SettingsError as error:
        print_error(f"devin-mcp: {error}")
        return 2
    except KeyboardInterrupt:  # before the server handles signals
        return 130


def _run(options: Namespace, settings: Settings, flags: Mapping[str, Sequence[str]]) -> int:
    command = options.command
    if command == "demo":
        from devin_mcp.observability import tracing

        tracing.check_variables()
        from devin_mcp.cli.demo import run_demo

        return run_demo()
    if command == "stdio":
        # The host waits for the start, and what is imported now is never freed. The server turns
        # the collector on again.
        gc.disable()
    from devin_mcp.observability import log_config, tracing

    # doctor prints its own report: the log of its requests would only be in between
    level = "error" if command == "doctor" else settings.log_level
    log_config.configure(level, settings.log_format)
    tracing.check_variables()
    if command in {"stdio", "http"}:
        tracing.configure(stdio=command == "stdio")
    if command == "sandbox":
        from devin_mcp.sandbox.serve import serve as serve_sandbox

        return serve_sandbox(settings.host, settings.port)
    if command == "tools":
        from devin_mcp.cli.tools import print_tools

        return print_tools(settings, as_json=options.json)
    if command == "config":
        from devin_mcp.cli.config import configure_client

        return configure_client(options, settings, flags)
    if command == "doctor":
        from devin_mcp.cli.doctor import run_doctor

        return run_doctor(settings, sources(flags), as_json=options.json)
    if command == "http":
        from devin_mcp.server.http.serve import serve as serve_http

        return serve_http(settings)
    from devin_mcp.server.stdio import serve as serve_stdio

    return serve_stdio(settings)
