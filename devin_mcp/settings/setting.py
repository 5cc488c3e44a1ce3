"""Declares a setting as a dataclass field, and reads its value from flags and environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from devin_mcp.suggest import closest

SERVER_COMMANDS = ("stdio", "http", "tools", "doctor")

Kind = Literal["string", "boolean", "number", "filepath"]
"""The kinds of values that the MCP registry's server.json knows."""


class SettingsError(Exception):
    """A setting has a wrong value; the text is one line for stderr and contains no secret."""


@dataclass(frozen=True)
class Setting:
    """One setting: its names, and how its text is read."""

    name: str
    default: Any
    env: str
    flag: str | None
    """None if the setting has a variable only."""
    parse: Callable[[str], Any]
    """Turns one text into a value. Raises ValueError."""
    help: str
    kind: Kind
    metavar: str
    is_list: bool
    """True if the value is a tuple: the flag can be repeated, the variable holds a list."""
    secret: bool
    """True if the value is never shown."""
    echo: bool
    """True if an error message may repeat the text; False if it may contain a password."""
    commands: tuple[str, ...]
    """The commands that take the flag."""
    bare: str | None
    """The text of a flag that is given without a value; None if it needs one."""

    @property
    def is_switch(self) -> bool:
        return self.kind == "boolean"

    @property
    def flags(self) -> tuple[str, ...]:
        """All its flags: of a switch, --x and --no-x; empty if it has a variable only."""
        if self.flag is None:
            return ()
        return (self.flag, f"--no-{self.flag[2:]}") if self.is_switch else (self.flag,)

    def split_flags(self, texts: Sequence[str]) -> list[str]:
        """The texts of a flag, split at commas; paths are not split, they may contain one."""
        if self.is_list and self.kind != "filepath":
            return [part for text in texts for part in text.split(",") if part.strip()]
        return list(texts)

    def split_variable(self, text: str) -> list[str]:
        """Split a variable's value into a list: at commas, or paths at os.pathsep."""
        if not self.is_list:
            return [text]
        separator = os.pathsep if self.kind == "filepath" else ","
        return [part for part in text.split(separator) if part.strip()]

    def is_text_of(self, text: str) -> bool:
        """True if the text is a value of this setting."""
        try:
            self.parse(text)
        except ValueError:
            return False
        return True

    def value(self, texts: Sequence[str], source: str) -> Any:
        """The value of the texts; the last one wins unless `is_list`.

        Raises SettingsError, which names `source`: the flag or the variable.
        """
        if not texts:
            raise SettingsError(f"{source} is given but names nothing")
        values = [self._parse(text, source) for text in texts]
        return tuple(values) if self.is_list else values[-1]

    def _parse(self, text: str, source: str) -> Any:
        try:
            return self.parse(text)
        except ValueError as error:
            echo = f" (it is {text!r})" if self.echo else ""
            raise SettingsError(f"{source} {error}{echo}") from None


def setting(
    default: Any,
    parse: Callable[[str], Any],
    help: str,
    *,
    env: str = "",
    flag: bool = True,
    metavar: str = "",
    secret: bool = False,
    echo: bool = True,
    commands: tuple[str, ...] = SERVER_COMMANDS,
    bare: str | None = None,
) -> Any:
    """Declare a setting as a dataclass field. The parameters are fields of Setting.

    `env` defaults to DEVIN_MCP_<NAME>, `metavar` to N for a number, else to <NAME>. The annotation
    of the field says the kind, and whether there may be many values. A setting of the stdio server
    also belongs to `devin-mcp config`, which writes it into the configuration of a client.
    """
    metadata = {
        "parse": parse,
        "help": help,
        "env": env,
        "flag": flag,
        "metavar": metavar,
        "secret": secret,
        "echo": echo and not secret,
        "commands": (*commands, "config") if "stdio" in commands else commands,
        "bare": bare,
    }
    return field(default=default, repr=not secret, metadata=metadata)


def settings_of(settings: type) -> tuple[Setting, ...]:
    """The settings declared as fields of a dataclass, in order."""
    hints = get_type_hints(settings)
    return tuple(_setting_of(item, hints[item.name]) for item in fields(settings))


def _setting_of(item: Field[Any], hint: Any) -> Setting:
    kind = _kind_of(hint)
    metadata = {
        **item.metadata,
        "env": item.metadata["env"] or f"DEVIN_MCP_{item.name.upper()}",
        "flag": f"--{item.name.replace('_', '-')}" if item.metadata["flag"] else None,
        "metavar": item.metadata["metavar"] or ("N" if kind == "number" else item.name.upper()),
    }
    return Setting(
        name=item.name,
        default=item.default,
        kind=kind,
        is_list=get_origin(hint) is tuple,
        **metadata,
    )


def _kind_of(hint: Any) -> Kind:
    types = {hint, *get_args(hint)}
    if bool in types:
        return "boolean"
    if types & {int, float}:
        return "number"
    return "filepath" if Path in types else "string"


def read_values(
    settings: Sequence[Setting], flags: Mapping[str, Sequence[str]], environ: Mapping[str, str]
) -> dict[str, Any]:
    """The values that flags (name -> texts) and environment give: name -> value.

    Raises SettingsError for a wrong value and for an unknown DEVIN_MCP_ variable.
    """
    _check_variable_names(environ, settings)
    values: dict[str, Any] = {}
    for item in settings:
        if item.name in flags:
            texts = item.split_flags(flags[item.name])
            values[item.name] = item.value(texts, item.flag or item.env)
        elif environ.get(item.env, "").strip():
            texts = item.split_variable(environ[item.env])
            values[item.name] = item.value(texts, item.env)
    return values


def sources_of(
    settings: Sequence[Setting], flags: Mapping[str, Sequence[str]], environ: Mapping[str, str]
) -> dict[str, str]:
    """Where each setting that is not a default comes from: name -> "flag" or "environment"."""
    variables = [item.name for item in settings if environ.get(item.env, "").strip()]
    return dict.fromkeys(variables, "environment") | dict.fromkeys(flags, "flag")


def _check_variable_names(environ: Mapping[str, str], settings: Sequence[Setting]) -> None:
    """Reject unknown names: a misspelt DEVIN_MCP_MAX_ACU must not remove a spending limit."""
    names = sorted(item.env for item in settings)
    for name in environ:
        if name.startswith("DEVIN_MCP_") and name not in names:
            match = closest(name, names)
            hint = f"; did you mean {match}?" if match else "; see devin-mcp --help"
            raise SettingsError(f"{name} is not a setting of devin-mcp{hint}")
