"""Who sees what: one pure function of the settings, the transport and the caller."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from devin_mcp.operations import OPERATIONS, Operation
from devin_mcp.operations.catalog import (
    READ,
    READ_ENVIRONMENT,
    READ_FILES,
    WRITE_FILES,
    Capability,
    Effect,
)
from devin_mcp.operations.matching import (
    COMPLETIONS,
    PROMPTS,
    RESOURCES,
    Completion,
    Prompt,
    Resource,
)
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import TOOLSETS, Settings
from devin_mcp.suggest import closest

Transport = Literal["stdio", "http"]

_EFFECTS = list(Effect)
_TOOL_NAME = re.compile(r"\bdevin_[a-z_]+")


@dataclass(frozen=True)
class Restriction:
    """What a caller gets of what the operator allows. It takes away and never adds."""

    toolsets: frozenset[str] = frozenset(TOOLSETS)
    effects: frozenset[Effect] = frozenset(Effect)

    def and_also(self, other: Restriction) -> Restriction:
        return Restriction(self.toolsets & other.toolsets, self.effects & other.effects)


UNRESTRICTED = Restriction()
READ_ONLY = Restriction(effects=frozenset({READ}))


@dataclass(frozen=True, eq=False)
class VisibleTools:
    """What one caller has: tools, what goes with them, and powers that bring parameters. What is hidden is unknown."""

    operations: tuple[Operation[Any, Any], ...]
    powers: frozenset[Capability]
    _narrower: dict[Restriction, VisibleTools] = field(default_factory=dict, repr=False)

    def narrowed(self, to: Restriction) -> VisibleTools:
        """Made once for each narrowing; there are few."""
        if to == UNRESTRICTED:
            return self
        known = self._narrower.get(to)
        if known is None:
            left = tuple(
                one
                for one in self.operations
                if one.toolset in to.toolsets and one.effect in to.effects
            )
            known = self._narrower[to] = VisibleTools(left, self.powers)
        return known

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(one.tool_name for one in self.operations)

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(one for one in RESOURCES if self.has(one.tool))

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(one for one in PROMPTS if self.has(*one.needs))

    def completions(self, name: str) -> list[Completion]:
        """What completes an argument or variable of this name."""
        return [one for one in COMPLETIONS.get(name, ()) if self.has(one.tool)]

    def has(self, *operations: Operation[Any, Any]) -> bool:
        return self.names.issuperset(one.tool_name for one in operations)

    def text(self, text: str) -> str:
        """A text of ours without the sentences that name a tool this caller does not have."""
        if "devin_" not in text:
            return text
        if self.names.issuperset(_TOOL_NAME.findall(text)):
            return text
        sentences = re.split(r"(?<=[.!?])(?=\s)", text)
        return "".join(
            one for one in sentences if self.names.issuperset(_TOOL_NAME.findall(one))
        ).strip()


def visible_tools(settings: Settings, transport: Transport) -> VisibleTools:
    """Raises BadSetting when a setting names a tool that does not exist."""
    catalogue = sorted(
        OPERATIONS, key=lambda one: (TOOLSETS.index(one.toolset), _EFFECTS.index(one.effect))
    )
    by_name = {one.tool_name: one for one in catalogue}
    added = _known(settings.tools, by_name, "--tools")
    removed = _known(settings.exclude_tools, by_name, "--exclude-tools")
    sets = settings.toolsets or (() if settings.tools else TOOLSETS)
    shown = tuple(
        one
        for one in catalogue
        if (one.toolset in sets or one.tool_name in added)
        and one.tool_name not in removed
        and (one.effect is READ or not settings.read_only)
    )
    if not shown:
        raise SettingsError(
            "--toolsets, --tools, --exclude-tools and --read-only together leave no tool; `devin-mcp tools` lists them"
        )
    return VisibleTools(shown, _powers(settings, transport))


def _powers(settings: Settings, transport: Transport) -> frozenset[Capability]:
    if transport != "stdio":
        return frozenset()
    powers: set[Capability] = set()
    if settings.files_root:
        powers.add(READ_FILES)
    if settings.files_root and not settings.read_only:
        powers.add(WRITE_FILES)
    if settings.allow_secret_env:
        powers.add(READ_ENVIRONMENT)
    return frozenset(powers)


def _known(names: Iterable[str], catalogue: Iterable[str], flag: str) -> set[str]:
    known = set(catalogue)
    found = set()
    for name in names:
        full = name if name.startswith("devin_") else f"devin_{name}"
        if full not in known:
            meant = closest(full, sorted(known))
            hint = f"; did you mean {meant}?" if meant else "; `devin-mcp tools` lists them"
            raise SettingsError(f"{flag} names no tool of devin-mcp: {name!r}{hint}")
        found.add(full)
    return found
