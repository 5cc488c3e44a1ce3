"""Commands and flags. Imports nothing heavy until a command needs it, so --version and --help answer at once."""

from __future__ import annotations

import argparse
import gc
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from devin_mcp import __version__
from devin_mcp.observability.redaction import redactor
from devin_mcp.settings.parsers import LOOPBACK, did_you_mean, printable, web_address
from devin_mcp.settings.setting import Setting, SettingsError
from devin_mcp.settings.settings import SETTINGS, Settings, origins, resolve

if TYPE_CHECKING:
    from devin_mcp.cli.client_configs import Client, ServerEntry

COMMANDS = {
    "stdio": "serve a host over standard input and output (what `devin-mcp` alone does)",
    "http": "serve streamable HTTP at /mcp",
    "sandbox": "serve the simulated Devin API by itself",
    "demo": "show a whole delegation, simulated, in about ten seconds",
    "tools": "print the tools that these settings offer",
    "config": "print what a client needs to know of this server, or write it into the client's file",
    "doctor": "check settings, key and the way to Devin, without spending anything",
}

ABOUT = "Model Context Protocol server for Devin: hand over a task, follow it, answer it, take the pull request."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status (2 for a wrong setting)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # a terminal that cannot show a letter is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    given: dict[str, list[str]] = {}
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        _refuse_misplaced(words)
        return _run(_parser(given).parse_args(words), resolve(given), given)
    except SettingsError as problem:
        print(f"devin-mcp: {printable(redactor.clean(str(problem)))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before there was anything that could end in an orderly way
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


HTTP_HELP = (
    "for a server at this address instead of one that the client starts; without --auth it is taken to want each caller's key, "
    "or nothing where it is on this machine"
)


class _Parser(argparse.ArgumentParser):
    """argparse, whose errors are one line without the usage."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"argument COMMAND: invalid choice: '(\w+)'", message)
        if unknown and (meant := did_you_mean(unknown[1], list(COMMANDS))):
            raise SettingsError(f"there is no command {unknown[1]}{meant}")
        raise SettingsError(f"{message}; see {self.prog} --help")


def _refuse_misplaced(words: Sequence[str]) -> None:
    """A flag nobody knows, or one that this command does not have, wherever it stands."""
    command = _command_in(words)
    known = {name: one.commands for one in SETTINGS if one.flag for name in _names(one)}
    known |= {
        "--help": tuple(COMMANDS),
        "--version": tuple(COMMANDS),
        "--json": ("tools", "doctor"),
        "--write": ("config",),
        "--http": ("config",),
    }
    for word in words:
        flag = word.split("=")[0]
        if flag.startswith("--") and flag not in known:
            raise SettingsError(
                f"there is no flag {flag}{did_you_mean(flag, list(known)) or '; see devin-mcp --help'}"
            )
        if flag.startswith("--") and command not in known[flag]:
            raise SettingsError(
                f"{flag} is not for `devin-mcp {command}` but for: {', '.join(known[flag])}"
            )


def _command_in(words: Sequence[str]) -> str:
    """The first word that is one and not a flag's value."""
    takes_value = {
        name for one in SETTINGS if one.flag and not one.is_switch for name in _names(one)
    }
    before = ["", *words]
    return next(
        (
            word
            for last, word in zip(before, words, strict=False)
            if word in COMMANDS and last not in takes_value
        ),
        "stdio",
    )


def _names(one: Setting) -> list[str]:
    flag = one.flag or ""
    return [flag, f"--no-{flag[2:]}"] if one.is_switch else [flag]


def _run(
    options: argparse.Namespace, settings: Settings, given: Mapping[str, Sequence[str]]
) -> int:
    command = options.command or "stdio"
    if command == "demo":
        from devin_mcp.cli.demo import run

        return run()
    if (
        command == "stdio"
    ):  # a host waits for it: what is loaded now stays, so nothing is looked through until it serves
        gc.disable()
    from devin_mcp.observability import log, tracing

    log.configure(settings.log_level, settings.log_format)
    if command in {"stdio", "http"}:
        tracing.configure()
    if command == "sandbox":
        from devin_mcp.sandbox.serve import serve as serve_sandbox

        return serve_sandbox(settings.host, settings.port)
    if command == "tools":
        from devin_mcp.cli.tools import print_tools

        return print_tools(settings, as_json=options.json)
    if command == "config":
        return _configure(options, settings, given)
    if command == "doctor":
        from devin_mcp.cli.doctor import run as examine

        return examine(settings, origins(given), as_json=options.json)
    if command == "http":
        from devin_mcp.server.http.serve import serve as serve_http

        return serve_http(settings)
    from devin_mcp.server.stdio import serve as serve_stdio

    return serve_stdio(settings)


def _configure(
    options: argparse.Namespace, settings: Settings, given: Mapping[str, Sequence[str]]
) -> int:
    from devin_mcp.cli.client_configs import CLIENTS, rendered
    from devin_mcp.cli.install import file_of, write

    if options.client is None:
        for name, one in CLIENTS.items():
            print(printable(f"{name:<16} {one.title:<16} {file_of(name)}"))
        return 0
    name = options.client.lower()
    if name not in CLIENTS:
        meant = did_you_mean(name, list(CLIENTS)) or "; `devin-mcp config` lists them"
        raise SettingsError(f"there is no client {options.client!r} here{meant}")
    wanted = _wanted(options, settings, given)
    if options.write:
        if not wanted.url and shutil.which(wanted.command) is None:
            raise SettingsError(
                f"{wanted.command} is not found, so no client could start it; nothing was changed"
            )
        done, is_new = write(name, wanted)
        print(printable(done))
        hints = [CLIENTS[name].advice(wanted)] if is_new else []
    else:
        print(rendered(name, wanted), end="")
        hints = [
            CLIENTS[name].advice(wanted),
            "" if name == "json" else f"This goes into {file_of(name)}.",
        ]
    for hint in filter(None, [*hints, *_warnings(CLIENTS[name], name, wanted)]):
        print(printable(hint), file=sys.stderr)
    return 0


def _warnings(client: Client, name: str, wanted: ServerEntry) -> Iterator[str]:
    """What somebody should know before the file is used or shared."""
    if client.of_a_project and name != "json" and not wanted.url:
        yield f"It names a path of this machine; to share the file, take manifests/clients/{name}.{client.ending}."
    if wanted.url.startswith("http:") and urlsplit(wanted.url).hostname not in LOOPBACK:
        yield "What is secret would travel in clear: give it an https address before you use it."
    if wanted.url and not urlsplit(wanted.url).path.strip("/"):
        yield "The address has no path; that of devin-mcp ends in /mcp."


def _wanted(
    options: argparse.Namespace, settings: Settings, given: Mapping[str, Sequence[str]]
) -> ServerEntry:
    """What the client is to start, with the flags that stand here, or to reach."""
    from devin_mcp.cli.client_configs import ServerEntry
    from devin_mcp.cli.install import this_command

    flags: list[str] = []
    for one in (
        one for one in SETTINGS if one.flag and one.name in given and "stdio" in one.commands
    ):
        value = getattr(settings, one.name)
        if one.is_switch:
            flags.append(_names(one)[0 if value else 1])
        else:
            flags += [
                word
                for part in (value if one.many else (value,))
                for word in (str(one.flag), str(part))
            ]
    if options.http is None:
        if "auth" in given:
            raise SettingsError(
                "--auth goes with --http: it says how the server there lets callers in"
            )
        known = origins(given)
        env = {
            one.env: str(getattr(settings, one.name))
            for one in SETTINGS
            if one.name in {"base_url", "app_url"} & set(known)
        }
        return replace(this_command(tuple(flags)), env={} if settings.sandbox else env)
    if set(flags) - {"--sandbox"}:
        raise SettingsError(
            f"{flags[0]} is for a server that the client starts; one at an address has settings of its own"
        )
    try:
        url = web_address(options.http)
    except ValueError as problem:
        raise SettingsError(f"--http {problem}") from None
    open_to_all = urlsplit(url).hostname in LOOPBACK or settings.sandbox
    auth = settings.auth if "auth" in given else "none" if open_to_all else "caller-key"
    return ServerEntry("", tuple(flags), url, auth)


def _parser(given: dict[str, list[str]]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="devin-mcp",
        description=ABOUT,
        epilog=_environment(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"devin-mcp {__version__}")
    _add_flags(parser, "stdio", given)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=_environment() if name in {"stdio", "http"} else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        one.add_argument("--version", action="version", version=f"devin-mcp {__version__}")
        _add_flags(one, name, given)
        if name in {"tools", "doctor"}:
            one.add_argument("--json", action="store_true", help="as JSON")
        if name == "config":
            one.add_argument(
                "client", nargs="?", help="whose configuration; without it, they are listed"
            )
            one.add_argument(
                "--write",
                action="store_true",
                help="merge it into the client's own file, with a backup beside it",
            )
            one.add_argument("--http", metavar="URL", help=HTTP_HELP)
    return parser


def _add_flags(parser: argparse.ArgumentParser, command: str, given: dict[str, list[str]]) -> None:
    """The settings as flags. They gather their texts in `given`, so that a flag counts before and after the command."""

    class Gather(argparse.Action):
        def __call__(self, _: Any, __: Any, values: Any, option: str | None = None) -> None:
            text = (
                ("false" if (option or "").startswith("--no-") else "true")
                if values == []
                else str(values)
            )
            given.setdefault(self.dest, []).append(text)

    group = parser.add_argument_group("settings")
    for one in SETTINGS:
        if one.flag is None or command not in one.commands:
            continue
        group.add_argument(
            *_names(one),
            dest=one.name,
            action=Gather,
            nargs=0 if one.is_switch else None,
            default=argparse.SUPPRESS,
            metavar=None if one.is_switch else one.metavar,
            help=_help(one),
        )


def _help(one: Setting) -> str:
    default = "" if one.default in (None, "", (), False) else f" (default {one.default})"
    again = "; can be repeated" if one.many and one.flag else ""
    return f"{one.help}{again}{default}".replace("%", "%%")


def _environment() -> str:
    lines = [f"  {one.env:<20} {one.help}" for one in SETTINGS if one.flag is None]
    return (
        "environment:\n"
        + "\n".join(lines)
        + "\n  Every flag is also DEVIN_MCP_<FLAG>, as in DEVIN_MCP_MAX_ACU=10; a flag wins."
    )
