"""What an operation is: one async function with its effect, toolset and route, from which everything else is derived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import NOWHERE, Route
from devin_mcp.operations.context import House
from devin_mcp.settings.settings import Toolset

P = ParamSpec("P")
R = TypeVar("R")


class Effect(Enum):
    """What a call does to the world; annotations and read-only mode follow from it."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DESTROY = "destroy"


READ, CREATE, CHANGE, DESTROY = Effect.READ, Effect.CREATE, Effect.CHANGE, Effect.DESTROY


@dataclass(frozen=True)
class Capability:
    """Something only some servers may do; a parameter marked with it is shown only there."""

    name: str


READ_FILES = Capability("read files below --files-root")
WRITE_FILES = Capability("write files below --files-root")
READ_ENVIRONMENT = Capability("read variables named with --allow-secret-env")


@dataclass(frozen=True)
class needs:  # noqa: N801 - read as a word where it marks a parameter
    """Marks a parameter or a field as there only where the power is."""

    power: Capability

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        schema["x-needs"] = self.power.name
        return schema


class NothingToConfirm(Exception):
    """Raised where the title is looked for: it is gone already, so there is nothing to ask anybody."""


@dataclass(frozen=True)
class Confirmation:
    """What an operation takes away, in the words in which a person is asked about it."""

    does: str
    """`Delete the note`, followed by its title and id."""
    lost: str
    """A sentence."""
    title: Callable[[ApiCall, House, str], Awaitable[str | None]]
    """The title of the thing with this id, where it can be known; raises what reading raises, or NothingAtStake."""


@dataclass(frozen=True)
class Operation(Generic[P, R]):
    """A declared operation. Calling it runs it on its own route, so operations can use each other."""

    function: Callable[Concatenate[ApiCall, P], Awaitable[R]]
    effect: Effect
    toolset: Toolset
    v1: Route | None
    spends: bool = False
    if_lost: str | None = None
    stake: Confirmation | None = None

    @property
    def operation_id(self) -> str:
        return self.function.__name__

    @property
    def tool_name(self) -> str:
        return f"devin_{self.operation_id}"

    @property
    def idempotent(self) -> bool:
        """Doing it twice is as good as once: HTTP's own promise for the route's method."""
        return self.v1 is not None and self.v1.method in {"GET", "PUT", "DELETE"}

    def at(self, devin: ApiCall) -> ApiCall:
        """The handle on this operation's route, for an operation that needs what this one reads."""
        return devin.on(self.v1 or NOWHERE, self.if_lost)

    async def __call__(self, devin: ApiCall, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.function(self.at(devin), *args, **kwargs)


OPERATIONS: list[Operation[Any, Any]] = []
"""The catalogue, in the order of declaration."""


def toolset_of(route: Route) -> Toolset:
    """Whose data a request on this route reads or changes."""
    return next(one.toolset for one in OPERATIONS if one.v1 == route)


def operation(
    effect: Effect,
    toolset: Toolset,
    *,
    v1: str,
    spends: bool = False,
    if_lost: str | None = None,
    stake: Confirmation | None = None,
) -> Callable[[Callable[Concatenate[ApiCall, P], Awaitable[R]]], Operation[P, R]]:
    """Declare an operation of the API.

    `v1` is its route ("GET /v1/sessions/{session_id}"); `spends` says it can cost ACUs; `if_lost` is the advice
    for a reply that was lost, where something may have been created; `stake` is what a destructive one takes away.
    """
    if (effect is DESTROY) != (stake is not None):
        raise TypeError("what destroys says what is lost, and nothing else does")

    def declare(function: Callable[Concatenate[ApiCall, P], Awaitable[R]]) -> Operation[P, R]:
        made = Operation(function, effect, toolset, Route.parse(v1), spends, if_lost, stake)
        OPERATIONS.append(made)
        return made

    return declare


def workflow(
    effect: Effect, toolset: Toolset, *, spends: bool = False
) -> Callable[[Callable[Concatenate[ApiCall, P], Awaitable[R]]], Operation[P, R]]:
    """Declare a tool that has no route of its own and uses other operations."""

    def declare(function: Callable[Concatenate[ApiCall, P], Awaitable[R]]) -> Operation[P, R]:
        made: Operation[P, R] = Operation(function, effect, toolset, None, spends)
        OPERATIONS.append(made)
        return made

    return declare
