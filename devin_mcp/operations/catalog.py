"""The catalog: what an operation is, and how one is declared. Everything else is derived from the
declaration.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from devin_mcp.api.endpoint import Endpoint
from devin_mcp.operations.context import Context
from devin_mcp.settings import Toolset

P = ParamSpec("P")
R = TypeVar("R")


class Effect(Enum):
    """What a call does to the organization. Annotations and read-only mode follow from it."""

    READ = "read"
    CREATE = "create"
    CHANGE = "change"
    DESTROY = "destroy"


READ, CREATE, CHANGE, DESTROY = Effect.READ, Effect.CREATE, Effect.CHANGE, Effect.DESTROY


@dataclass(frozen=True)
class Capability:
    """Something that only some servers can do. A parameter that requires it is hidden elsewhere."""

    name: str


READ_FILES = Capability("read files below --files-root")
WRITE_FILES = Capability("write files below --files-root")
READ_ENVIRONMENT = Capability("read variables named with --allow-secret-env")


@dataclass(frozen=True)
class Requires:
    """Marks a parameter or field that exists only where the server has the capability."""

    capability: Capability

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler(core)
        schema["x-requires"] = self.capability.name
        return schema


class NothingToConfirm(Exception):
    """Raised by `Confirmation.describe` if the thing no longer exists: no question is needed."""


@dataclass(frozen=True)
class Confirmation:
    """The question that a person is asked before a destructive operation."""

    action: str
    """`Delete the note`; the title and id follow it."""
    consequence: str
    """One sentence about what is lost."""
    subject: str
    """Name of the parameter with the id of the thing."""
    describe: Callable[[Context, str], Awaitable[str | None]]
    """From that id to the thing's title, None if it has none. Raises what reading raises, or
    NothingToConfirm."""


@dataclass(frozen=True)
class Operation(Generic[P, R]):
    """A declared operation. Calling it runs its function, so operations can use each other."""

    function: Callable[Concatenate[Context, P], Awaitable[R]]
    effect: Effect
    toolset: Toolset
    v1: Endpoint | None = None
    """None for a workflow, which only uses other operations."""
    spends: bool = False
    """True if a call can cost ACUs."""
    confirmation: Confirmation | None = None
    structured: bool = True
    """False if the answer is a file's content instead of data with a schema."""
    writes_with: Capability | None = None
    """With this capability a reading tool can also write a local file."""

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
        return self.v1 is not None and self.v1.retry_safe

    def __call__(self, ctx: Context, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.function(ctx, *args, **kwargs)


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
    v1: str,
    spends: bool = False,
    retry_safe: bool | None = None,
    if_reply_lost: str | None = None,
    confirmation: Confirmation | None = None,
    structured: bool = True,
    writes_with: Capability | None = None,
) -> Callable[[Callable[Concatenate[Context, P], Awaitable[R]]], Operation[P, R]]:
    """Declare an operation of the API.

    `v1` is its route ("GET /v1/sessions/{session_id}"). `retry_safe` follows from the HTTP method
    unless it is given. `if_reply_lost` is the advice for a lost reply of a request that may have
    created something. A destructive operation needs a `confirmation`.
    """
    if (effect is DESTROY) != (confirmation is not None):
        raise TypeError("an operation has a confirmation if and only if it destroys")

    def declare(function: Callable[Concatenate[Context, P], Awaitable[R]]) -> Operation[P, R]:
        endpoint = Endpoint.parse(
            function.__name__,
            v1,
            retry_safe=retry_safe,
            creates_session=spends and effect is CREATE,
            if_reply_lost=if_reply_lost,
        )
        return _register(
            Operation(
                function, effect, toolset, endpoint, spends, confirmation, structured, writes_with
            )
        )

    return declare


def workflow(
    effect: Effect, toolset: Toolset, *, spends: bool = False
) -> Callable[[Callable[Concatenate[Context, P], Awaitable[R]]], Operation[P, R]]:
    """Declare a tool that has no endpoint of its own and uses other operations."""

    def declare(function: Callable[Concatenate[Context, P], Awaitable[R]]) -> Operation[P, R]:
        return _register(Operation(function, effect, toolset, spends=spends))

    return declare


def _register(operation: Operation[P, R]) -> Operation[P, R]:
    OPERATIONS.append(operation)
    return operation
