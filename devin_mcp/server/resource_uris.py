"""Resource URIs: from a `devin://` URI to the resource it names and its arguments, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mcp.shared.uri_template import UriTemplate

from devin_mcp.operations.browsing import Resource
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.schema import arguments_model, parameters_schema
from devin_mcp.server.visibility import VisibleTools


@dataclass(frozen=True)
class ResourceMatch:
    """The resource that a URI names, and the URI's variables as they were written."""

    resource: Resource
    variables: Mapping[str, Any]

    @property
    def arguments(self) -> dict[str, Any]:
        """Validated arguments. Raises Invalid for a malformed id."""
        read = self.resource.read
        return validate_arguments(self.variables, parameters_schema(read), arguments_model(read))

    @property
    def subject_id(self) -> str | None:
        """The id of the record that the URI is about, as it was written."""
        subject = self.resource.subject
        value = self.variables.get(subject) if subject else None
        return value if isinstance(value, str) else None


def match_uri(uri: str, visible: VisibleTools) -> ResourceMatch | None:
    """None for a URI of no resource, or of one that this caller does not have."""
    for resource in visible.resources:
        variables = _template(resource.uri).match(uri)
        if variables is not None:
            return ResourceMatch(resource, variables)
    return None


def expand_uri(resource: Resource, **variables: str) -> str:
    return _template(resource.uri).expand(variables)


def variable_names(resource: Resource) -> list[str]:
    return _template(resource.uri).variable_names


@lru_cache(maxsize=64)
def _template(uri: str) -> UriTemplate:
    return UriTemplate.parse(uri)
