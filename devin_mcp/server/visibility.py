"""Visibility: one pure function of settings, transport, API and caller. A hidden tool answers like
an unknown one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS, Operation
from devin_mcp.operations.browsing import (
    COMPLETIONS,
    PROMPTS,
    RESOURCES,
    Completion,
    Prompt,
    Resource,
)
from devin_mcp.operations.capabilities import (
    API_CAPABILITIES,
    READ_ENVIRONMENT,
    READ_FILES,
    WRITE,
    WRITE_FILES,
    Capability,
)
from devin_mcp.operations.catalog import READ, Effect
from devin_mcp.settings import Settings, SettingsError
from devin_mcp.settings.toolsets import DEFAULT, TOOLSETS, Toolset, toolsets_named
from devin_mcp.suggest import closest

Transport = Literal["stdio", "http"]

MAX_CACHED_RESTRICTIONS = 64
_EFFECTS = list(Effect)
_TOOL_NAME = re.compile(r"\bdevin_[a-z_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s)")


@dataclass(frozen=True)
class Restriction:
    """Restricts what the operator allows, for one caller. It never adds anything."""

    toolsets: frozenset[Toolset] = frozenset(TOOLSETS)
    effects: frozenset[Effect] = frozenset(Effect)

    def intersect(self, other: Restriction) -> Restriction:
        return Restriction(self.toolsets & other.toolsets, self.effects & other.effects)


UNRESTRICTED = Restriction()
READ_ONLY = Restriction(effects=frozenset({READ}))


@dataclass(frozen=True, eq=False)
class VisibleTools:
    """What one caller sees: tools, the resources and prompts that belong to them, capabilities."""

    operations: tuple[Operation[Any, Any], ...]
    capabilities: frozenset[Capability]
    """A parameter that requires another capability is hidden."""
    _restricted: dict[Restriction | DevinApi, VisibleTools] = field(
        default_factory=dict, repr=False
    )

    def of_api(self, api: DevinApi) -> VisibleTools:
        """What exists on one API. Cached."""
        visible = self._restricted.get(api)
        if visible is None:
            operations = tuple(operation for operation in self.operations if api in operation.apis)
            others = frozenset(API_CAPABILITIES.values())
            capabilities = (self.capabilities - others) | {API_CAPABILITIES[api]}
            visible = self._restricted[api] = VisibleTools(operations, capabilities)
        return visible

    def restricted(self, restriction: Restriction) -> VisibleTools:
        """Cached for the first restrictions that callers ask for."""
        if restriction == UNRESTRICTED:
            return self
        visible = self._restricted.get(restriction)
        if visible is None:
            operations = tuple(
                operation
                for operation in self.operations
                if operation.toolset in restriction.toolsets
                and operation.effect in restriction.effects
            )
            lost = frozenset() if Effect.CHANGE in restriction.effects else {WRITE, WRITE_FILES}
            visible = VisibleTools(operations, self.capabilities - lost)
            if len(self._restricted) < MAX_CACHED_RESTRICTIONS:
                self._restricted[restriction] = visible
        return visible

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(operation.tool_name for operation in self.operations)

    @cached_property
    def toolsets(self) -> frozenset[Toolset]:
        """Those that have a tool here."""
        return frozenset(operation.toolset for operation in self.operations)

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        return tuple(
            resource for resource in RESOURCES if resource.tool is None or self.has(resource.tool)
        )

    @cached_property
    def prompts(self) -> tuple[Prompt, ...]:
        return tuple(prompt for prompt in PROMPTS if self.has(*prompt.requires))

    def completion(self, name: str) -> Completion | None:
        """The completion of the argument or variable of this name."""
        completion = COMPLETIONS.get(name)
        return completion if completion is not None and self.has(completion.tool) else None

    def has(self, *operations: Operation[Any, Any]) -> bool:
        return self.names.issuperset(operation.tool_name for operation in operations)

    def text(self, text: str) -> str:
        """One of our texts without the sentences that name a tool this caller does not have."""
        if "devin_" not in text or self._has_all_named_in(text):
            return text
        sentences = _SENTENCE_END.split(text)
        return "".join(filter(self._has_all_named_in, sentences)).strip()

    def _has_all_named_in(self, text: str) -> bool:
        return self.names.issuperset(_TOOL_NAME.findall(text))


def visible_tools(settings: Settings, transport: Transport) -> VisibleTools:
    """What the operator allows. Raises SettingsError if a setting names an unknown tool."""
    catalog = sorted(
        OPERATIONS,
        key=lambda operation: (
            TOOLSETS.index(operation.toolset),
            _EFFECTS.index(operation.effect),
        ),
    )
    names = [operation.tool_name for operation in catalog]
    added = _full_tool_names(settings.tools, names, "--tools")
    removed = _full_tool_names(settings.exclude_tools, names, "--exclude-tools")
    toolsets = toolsets_named(settings.toolsets or (() if settings.tools else (DEFAULT,)))
    operations = tuple(
        operation
        for operation in catalog
        if (operation.toolset in toolsets or operation.tool_name in added)
        and operation.tool_name not in removed
        and (operation.effect is READ or not settings.read_only)
    )
    if not operations:
        raise SettingsError(
            "--toolsets, --tools, --exclude-tools and --read-only together leave no tool; "
            "`devin-mcp tools` lists them"
        )
    return VisibleTools(operations, _capabilities(settings, transport))


def _capabilities(settings: Settings, transport: Transport) -> frozenset[Capability]:
    """Over HTTP there are no local files and no variables."""
    capabilities: set[Capability] = set() if settings.read_only else {WRITE}
    if transport != "stdio":
        return frozenset(capabilities)
    if settings.files_root:
        capabilities.add(READ_FILES)
    if settings.files_root and not settings.read_only:
        capabilities.add(WRITE_FILES)
    if settings.allow_secret_env:
        capabilities.add(READ_ENVIRONMENT)
    return frozenset(capabilities)


def _full_tool_names(names: Iterable[str], tool_names: list[str], flag: str) -> set[str]:
    """Full tool names, which may be given without `devin_`. Raises SettingsError."""
    full_names = set()
    for name in names:
        full_name = name if name.startswith("devin_") else f"devin_{name}"
        if full_name not in tool_names:
            suggestion = closest(full_name, sorted(tool_names))
            hint = "; `devin-mcp tools` lists them"
            if suggestion:
                hint = f"; did you mean {suggestion}?"
            raise SettingsError(f"{flag} names no tool of devin-mcp: {name!r}{hint}")
        full_names.add(full_name)
    return full_names
