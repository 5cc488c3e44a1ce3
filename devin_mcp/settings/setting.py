"""What a setting is: declared once as a field, and from that its flag, its variable, its help, its check."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from devin_mcp.settings.parsers import (
    api_key,
    base_address,
    folder,
    issuer,
    origin,
    redis_address,
    sealing_key,
    switch,
    variable,
    web_address,
)

SERVING = ("stdio", "http", "tools", "doctor")

_MAY_HOLD_SECRETS = {
    api_key,
    sealing_key,
    web_address,
    base_address,
    issuer,
    origin,
    redis_address,
    variable,
}
"""What was given is shown only where it cannot hold a key, a password or NAME=value."""


class SettingsError(Exception):
    """A value somebody set is wrong; the text is one line for stderr and never repeats a secret."""


@dataclass(frozen=True)
class Setting:
    """How one setting is named, read and explained."""

    name: str
    default: Any
    env: str
    flag: str | None
    parse: Callable[[str], Any]
    help: str
    metavar: str
    many: bool
    secret: bool
    commands: tuple[str, ...]

    @property
    def is_switch(self) -> bool:
        return self.parse is switch

    def split_flags(self, texts: Sequence[str]) -> list[str]:
        """A path may hold a comma, so only names are split."""
        if self.many and self.parse is not folder:
            return [part for text in texts for part in text.split(",") if part.strip()]
        return list(texts)

    def split_variable(self, text: str) -> list[str]:
        if not self.many:
            return [text]
        return [
            part for part in text.split(os.pathsep if self.parse is folder else ",") if part.strip()
        ]

    def value(self, texts: Sequence[str], source: str) -> Any:
        """Raises BadSetting, naming the flag or variable it came from."""
        if not texts:
            raise SettingsError(f"{source} is given but names nothing")
        parsed = [self._parsed(text, source) for text in texts]
        return tuple(parsed) if self.many else parsed[-1]

    def _parsed(self, text: str, source: str) -> Any:
        try:
            return self.parse(text)
        except ValueError as problem:
            shown = f" (it is {text!r})" if self.parse not in _MAY_HOLD_SECRETS else ""
            raise SettingsError(f"{source} {problem}{shown}") from None


def setting(
    default: Any,
    parse: Callable[[str], Any],
    help: str,
    *,
    env: str = "",
    flag: bool = True,
    metavar: str = "",
    many: bool = False,
    secret: bool = False,
    commands: tuple[str, ...] = SERVING,
) -> Any:
    """Declare a setting; `many` makes it a tuple (repeated flag, or one list in the variable).

    What a host can give the server, `devin-mcp config` can put into the host's file.
    """
    commands = (*commands, "config") if "stdio" in commands else commands
    facts = {
        "parse": parse,
        "help": help,
        "env": env,
        "flag": flag,
        "metavar": metavar,
        "many": many,
    }
    facts |= {"secret": secret, "commands": commands}
    return field(default=default, repr=not secret, metadata=facts)


def settings_of(settings: type) -> tuple[Setting, ...]:
    """Those declared as fields of a dataclass, in their order."""
    found = []
    for item in fields(settings):
        facts = dict(item.metadata)
        flag = f"--{item.name.replace('_', '-')}" if facts.pop("flag") else None
        env, metavar = (
            facts.pop("env") or f"DEVIN_MCP_{item.name.upper()}",
            facts.pop("metavar") or item.name.upper(),
        )
        found.append(
            Setting(
                name=item.name, default=item.default, env=env, flag=flag, metavar=metavar, **facts
            )
        )
    return tuple(found)
