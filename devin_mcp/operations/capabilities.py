"""Capabilities: what only some servers, or only one of Devin's APIs, can do. Parameters, fields and
choices that require one are hidden where it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devin_mcp.keys import DevinApi


@dataclass(frozen=True)
class Capability:
    """Something that only some servers can do. A parameter that requires it is hidden elsewhere."""

    name: str


V1 = Capability("v1")
V3 = Capability("v3")
API_CAPABILITIES: dict[DevinApi, Capability] = {"v1": V1, "v3": V3}
"""What an API lacks is hidden from the callers of that API, and refused with the reason."""
READ_FILES = Capability("read files below --files-root")
WRITE_FILES = Capability("write files below --files-root")
WRITE = Capability("change something, without --read-only")
READ_ENVIRONMENT = Capability("read variables named with --allow-secret-env")


REQUIRES = "x-requires"
"""Keyword of a declared schema: the capability that a parameter or field requires."""
CHOICES_REQUIRE = "x-choices-require"
"""Keyword of a declared schema: choice -> the capability that it requires."""


@dataclass(frozen=True)
class Requires:
    """Marks a parameter or field that exists only where the server has the capability."""

    capability: Capability

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        schema[REQUIRES] = self.capability.name
        return schema


@dataclass(frozen=True)
class ChoicesRequire:
    """Marks choices of a parameter that exist only where the server has the capability."""

    capability: Capability
    choices: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        required = dict.fromkeys(self.choices, self.capability.name)
        schema[CHOICES_REQUIRE] = schema.get(CHOICES_REQUIRE, {}) | required
        return schema
