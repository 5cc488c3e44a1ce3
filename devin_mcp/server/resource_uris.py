"""From a `devin://` address to the resource it names, and its arguments checked as a tool's are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mcp.shared.uri_template import UriTemplate

from devin_mcp.operations.matching import Resource
from devin_mcp.server.arguments import checked
from devin_mcp.server.schema import arguments_model, schema_of
from devin_mcp.server.visibility import VisibleTools


@dataclass(frozen=True)
class ResourceMatch:
    """What an address names."""

    resource: Resource
    given: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Raises Invalid, in our own words, for what is no id."""
        return checked(
            self.given, schema_of(self.resource.read), arguments_model(self.resource.read)
        )


def match_uri(uri: str, view: VisibleTools) -> ResourceMatch | None:
    """None for what is no address of ours, or one of a resource that this caller does not have."""
    for resource in view.resources:
        found = _template(resource.uri).match(uri)
        if found is not None:
            return ResourceMatch(resource, found)
    return None


def address(resource: Resource, **values: str) -> str:
    return _template(resource.uri).expand(values)


def variables(resource: Resource) -> list[str]:
    return _template(resource.uri).variable_names


@lru_cache(maxsize=64)
def _template(uri: str) -> UriTemplate:
    return UriTemplate.parse(uri)
