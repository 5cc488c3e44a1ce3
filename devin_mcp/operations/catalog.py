"""The catalog: what an operation is, and how one is declared. Everything else is derived from the
declaration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from types import UnionType
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from devin_mcp.api.endpoint import Endpoint
from devin_mcp.keys import DevinApi
from devin_mcp.operations.capabilities import API_CAPABILITIES, V1, V3, Capability, Requires
from devin_mcp.operations.context import Context
from devin_mcp.settings.toolsets import Toolset

P = ParamSpec("P")
R = TypeVar("R")


class Effect(Enum):
    """What a call does to the organization. Annotations and read-only mode follow from it."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DESTROY = "destroy"


READ, CREATE, CHANGE, DESTROY = Effect.READ, Effect.CREATE, Effect.CHANGE, Effect.DESTROY


class NothingToConfirm(Exception):
    """Raised by a Confirmation if no question is needed, such as for what is gone already."""


Arguments = Mapping[str, Any]
"""The validated arguments of a call, by name."""


@dataclass(frozen=True)
class Confirmation:
    """The question that a person is asked before something is destroyed, or starts to spend by
    itself.
    """

    action: str
    """`Delete the note`; the title and id follow it."""
    consequence: str | Callable[[Context, Arguments], Awaitable[str]]
    """What is lost, or begins, in a sentence or two. A function raises Invalid for wrong arguments,
    and NothingToConfirm for those that need no question. It quotes what others wrote."""
    subject: str
    """Name of the parameter with the id of the thing, or with the name of a new one."""
    describe: Callable[[Context, str], Awaitable[str | None]] | None = None
    """From that id to the thing's title, None if it has none. Raises what reading raises, or
    NothingToConfirm. A new thing needs none."""


@dataclass(frozen=True)
class Operation(Generic[P, R]):
    """A declared operation. Calling it runs its function, so operations can use each other."""

    function: Callable[Concatenate[Context, P], Awaitable[R]]
    effect: Effect
    toolset: Toolset
    v1: Endpoint | None = None
    v3: Endpoint | None = None
    """The endpoint of each API. A workflow has none: it only uses other operations."""
    spends: bool = False
    """True if a call can cost ACUs."""
    confirmation: Confirmation | None = None
    structured: bool = True
    """False if the answer is a file's content instead of data with a schema."""
    writes_with: Capability | None = None
    """With this capability a reading tool can also write something."""
    is_core: bool = False
    """True for a part of every delegation: hosts that load tools on demand load it at once."""
    search_hint: str = ""
    """More words that people search with for this tool, where hosts load tools on demand. No model
    reads them.
    """

    @property
    def operation_id(self) -> str:
        return self.function.__name__

    @property
    def tool_name(self) -> str:
        return f"devin_{self.operation_id}"

    @property
    def title(self) -> str:
        return title_of(self.function)

    @property
    def idempotent(self) -> bool:
        """True if two calls have the effect of one (MCP: idempotentHint)."""
        endpoints = [endpoint for endpoint in (self.v1, self.v3) if endpoint is not None]
        return bool(endpoints) and all(endpoint.retry_safe for endpoint in endpoints)

    @property
    def apis(self) -> frozenset[DevinApi]:
        """The APIs that have it. Both for a workflow."""
        if self.v1 is None and self.v3 is None:
            return frozenset(API_CAPABILITIES)
        return frozenset(endpoint.api for endpoint in (self.v1, self.v3) if endpoint is not None)

    @cached_property
    def api_parameters(self) -> dict[str, Capability]:
        """Parameters that exist on one API only -> V1 or V3."""
        hints = get_type_hints(self.function, include_extras=True)
        return {
            name: mark.capability
            for name, hint in hints.items()
            for mark in _marks_of(hint)
            if isinstance(mark, Requires) and mark.capability in {V1, V3}
        }

    def takes(self, parameter: str, api: DevinApi) -> bool:
        """Whether the parameter exists on the API."""
        return self.api_parameters.get(parameter) in {None, API_CAPABILITIES[api]}

    def __call__(self, ctx: Context, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.function(ctx, *args, **kwargs)


def _marks_of(hint: Any) -> Iterator[Any]:
    """What annotates a type or, in `Annotated[T, mark] | None`, a part of it."""
    yield from getattr(hint, "__metadata__", ())
    if get_origin(hint) in {Union, UnionType}:
        for part in get_args(hint):
            yield from _marks_of(part)


def title_of(function: Callable[..., Any]) -> str:
    """`list_sessions` -> `List sessions`."""
    return function.__name__.replace("_", " ").capitalize()


OPERATIONS: list[Operation[Any, Any]] = []
"""All operations, in the order of declaration."""


def operation_by_id(operation_id: str) -> Operation[Any, Any]:
    """Raises KeyError for an unknown operation id."""
    for operation in OPERATIONS:
        if operation.operation_id == operation_id:
            return operation
    raise KeyError(operation_id)


def toolset_of(operation_id: str) -> Toolset:
    """The toolset whose data a request of this operation reads or changes."""
    return operation_by_id(operation_id).toolset


def operation(
    effect: Effect,
    toolset: Toolset,
    *,
    v1: str = "",
    v3: str = "",
    permission: str,
    spends: bool = False,
    creates_session: bool = False,
    retry_safe: bool | None = None,
    if_reply_lost: str | None = None,
    confirmation: Confirmation | None = None,
    structured: bool = True,
    writes_with: Capability | None = None,
    is_core: bool = False,
    search_hint: str = "",
) -> Callable[[Callable[Concatenate[Context, P], Awaitable[R]]], Operation[P, R]]:
    """Declare an operation of the API.

    `v1` and `v3` are its routes: "GET /v1/sessions/{session_id}", and "GET /sessions/{session_id}"
    below /v3/organizations/{org_id}; empty where an API has none. `permission` is what v3 asks for.
    `creates_session`: a 429 may be the limit of parallel sessions.
    `retry_safe` follows from the HTTP method unless it is given. `if_reply_lost` is the advice for
    a lost reply of a request that may have created something. A destructive operation needs a
    `confirmation`, and so does one that starts to spend by itself.
    """
    if effect is DESTROY and confirmation is None:
        raise TypeError("an operation that destroys needs a confirmation")
    if effect is READ and confirmation is not None:
        raise TypeError("an operation that reads needs no confirmation")
    if not v1 and not v3:
        raise TypeError("an operation has a route on an API; a tool without one is a @workflow")

    def declare(function: Callable[Concatenate[Context, P], Awaitable[R]]) -> Operation[P, R]:
        routes: dict[DevinApi, str] = {"v1": v1, "v3": v3}
        endpoints = {
            api: Endpoint.parse(
                function.__name__,
                api,
                route,
                retry_safe=retry_safe,
                permission=permission if api == "v3" else "",
                creates_session=creates_session,
                if_reply_lost=if_reply_lost,
            )
            for api, route in routes.items()
            if route
        }
        return _register(
            Operation(
                function,
                effect,
                toolset,
                endpoints.get("v1"),
                endpoints.get("v3"),
                spends=spends,
                confirmation=confirmation,
                structured=structured,
                writes_with=writes_with,
                is_core=is_core,
                search_hint=search_hint,
            )
        )

    return declare


def workflow(
    effect: Effect,
    toolset: Toolset,
    *,
    spends: bool = False,
    is_core: bool = False,
    search_hint: str = "",
) -> Callable[[Callable[Concatenate[Context, P], Awaitable[R]]], Operation[P, R]]:
    """Declare a tool that has no endpoint of its own and uses other operations."""

    def declare(function: Callable[Concatenate[Context, P], Awaitable[R]]) -> Operation[P, R]:
        return _register(
            Operation(
                function,
                effect,
                toolset,
                spends=spends,
                is_core=is_core,
                search_hint=search_hint,
            )
        )

    return declare


def _register(operation: Operation[P, R]) -> Operation[P, R]:
    OPERATIONS.append(operation)
    return operation
