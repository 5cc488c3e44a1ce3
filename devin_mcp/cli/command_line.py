"""The command line of `devin-mcp`: commands, flags and help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NoReturn

from devin_mcp import __version__
from devin_mcp.cli.help_text import environment_help, flag_help
from devin_mcp.settings import SETTINGS, SettingsError
from devin_mcp.suggest import did_you_mean

COMMANDS = {
    "stdio": "run the MCP server over stdio (default)",
    "http": "run the MCP server over streamable HTTP, at /mcp",
    "sandbox": "run the simulated Devin (API v1 and v3) as an HTTP server",
    "demo": "show a complete delegation to a simulated Devin, in about twelve seconds",
    "tools": "list the tools that these settings enable",
    "config": "print the configuration for an MCP client, or write it into the client's file",
    "doctor": "check settings, API key and connection to Devin, at no cost",
}

DESCRIPTION = (
    "Model Context Protocol server for Devin: hand over a task, follow it, answer it, "
    "take the pull request."
)

HTTP_HELP = (
    "configure a remote server at this URL instead of one that the client starts; without --auth, "
    "caller-key is assumed for another machine and none for this one"
)

COMMAND_FLAGS = {
    "--json": ("tools", "doctor"),
    "--write": ("config",),
    "--http": ("config",),
    "--help": tuple(COMMANDS),
    "--version": tuple(COMMANDS),
}
"""Flags that are not settings -> the commands that take them."""


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, dict[str, list[str]]]:
    """The options, `command` among them, and the texts of each setting that is a flag.

    Raises SettingsError; SystemExit with status 0 after --help and --version.
    """
    flags: dict[str, list[str]] = {}
    arguments = _with_bare_values(argv)
    _check_flags(arguments)
    options = _parser(flags, _command_in(arguments)).parse_args(arguments)
    options.command = options.command or "stdio"
    return options, flags


_VERSION = re.compile(r"v\d+")
"""No command or client is called so: after `--sandbox` it is meant as the value."""


def _with_bare_values(arguments: Sequence[str]) -> list[str]:
    """The arguments, in which a flag that may stand alone has its value: `--sandbox http` becomes
    `--sandbox=v3 http`.
    """
    settings = {setting.flag: setting for setting in SETTINGS if setting.bare is not None}
    result = []
    for argument, following in zip_longest(arguments, arguments[1:], fillvalue=""):
        setting = settings.get(argument)
        is_bare = setting is not None and not (
            following and (setting.is_text_of(following) or _VERSION.fullmatch(following))
        )
        result.append(f"{argument}={setting.bare}" if setting and is_bare else argument)
    return result


def _check_flags(arguments: Sequence[str]) -> None:
    """Raise SettingsError for a flag that does not exist, or that the command does not take."""
    command = _command_in(arguments)
    commands_by_flag = {
        name: setting.commands for setting in SETTINGS for name in setting.flags
    } | COMMAND_FLAGS
    for argument in arguments:
        flag = argument.split("=")[0]
        if not flag.startswith("--"):
            continue
        if flag not in commands_by_flag:
            own_flags = [name for name, commands in commands_by_flag.items() if command in commands]
            hint = did_you_mean(flag, own_flags) or "; see devin-mcp --help"
            raise SettingsError(f"there is no flag {flag}{hint}")
        if command not in commands_by_flag[flag]:
            commands = ", ".join(commands_by_flag[flag])
            raise SettingsError(f"{flag} is not for `devin-mcp {command}` but for: {commands}")


def _command_in(arguments: Sequence[str]) -> str:
    """The command: the first argument that names one and is not the value of a flag."""
    flags_with_value = {
        name for setting in SETTINGS if not setting.is_switch for name in setting.flags
    }
    previous = ""
    for argument in arguments:
        if argument in COMMANDS and previous not in flags_with_value:
            return argument
        previous = argument
    return "stdio"


class _Parser(argparse.ArgumentParser):
    """argparse's parser, but an error is one line without the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError."""
        unknown = re.match(r"argument COMMAND: invalid choice: '(\w+)'", message)
        if unknown and (suggestion := did_you_mean(unknown[1], list(COMMANDS))):
            raise SettingsError(f"there is no command {unknown[1]}{suggestion}")
        raise SettingsError(f"{message}; see {self.prog} --help")


def _parser(flags: dict[str, list[str]], used: str) -> argparse.ArgumentParser:
    """The parser for the command line; it collects the settings in `flags`.

    Only the command that is used has its flags, because all of them take time at the start.
    """
    parser = _Parser(
        prog="devin-mcp",
        description=DESCRIPTION,
        epilog=environment_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"devin-mcp {__version__}")
    _add_flags(parser, "stdio", flags)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=environment_help() if name in {"stdio", "http"} else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        command.add_argument("--version", action="version", version=f"devin-mcp {__version__}")
        if name == used:
            _add_flags(command, name, flags)
        if name in {"tools", "doctor"}:
            command.add_argument("--json", action="store_true", help="JSON output")
        if name == "config":
            command.add_argument("client", nargs="?", help="name of the client; default: list all")
            command.add_argument(
                "--write",
                action="store_true",
                help="merge the configuration into the client's file, and keep a backup beside it",
            )
            command.add_argument("--http", metavar="URL", help=HTTP_HELP)
    return parser


def _add_flags(parser: argparse.ArgumentParser, command: str, flags: dict[str, list[str]]) -> None:
    """Add the settings of a command as flags.

    Each flag appends its text to `flags`, so that flags before and after the command both count.
    """

    class Collect(argparse.Action):
        def __call__(self, _: Any, __: Any, values: Any, option: str | None = None) -> None:
            text = str(values)
            if values == []:  # a switch
                text = "false" if (option or "").startswith("--no-") else "true"
            flags.setdefault(self.dest, []).append(text)

    group = parser.add_argument_group("settings")
    for setting in SETTINGS:
        if setting.flag is not None and command in setting.commands:
            group.add_argument(
                *setting.flags,
                dest=setting.name,
                action=Collect,
                nargs=0 if setting.is_switch else None,
                default=argparse.SUPPRESS,
                metavar=None if setting.is_switch else setting.metavar,
                help=flag_help(setting),
            )
