"""Completion of what a person types, from cached lists: further keystrokes send no request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from mcp import MCPError
from mcp.types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
)

from devin_mcp.errors import DevinError
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable
from devin_mcp.operations.matching import MAX_COMPLETIONS, Candidate, rank
from devin_mcp.operations.parameters import is_blank
from devin_mcp.server.context import CallerContext, RequestContext, current_caller
from devin_mcp.server.prompts import find_prompt, prompt_arguments
from devin_mcp.server.resource_uris import variable_names

T = TypeVar("T")

LOAD_TIMEOUT = 3.0
"""Seconds that a completion waits. A slower load fills the cache for the next request."""


async def complete(_: RequestContext, params: CompleteRequestParams) -> CompleteResult:
    """At most 100 values, best match first. An error of Devin's gives no values and is logged."""
    caller, name = current_caller.get(), params.argument.name
    arguments = (params.context.arguments if params.context else None) or {}
    names = await _or_none(_completable_names(caller, params))
    if names is not None and name not in names:
        raise MCPError(INVALID_PARAMS, "There is nothing of that name to complete.")
    completion = None if names is None else caller.visible.completion(name)
    candidates: Sequence[Candidate] = ()
    if completion is not None:
        candidates = await _or_none(completion.candidates(caller.context(), arguments)) or ()
    typed = params.argument.value
    values = await rank(candidates, "" if is_blank(typed) else typed)
    return CompleteResult(
        completion=Completion(
            values=[printable(value) for value in values[:MAX_COMPLETIONS]],
            total=len(values),
            has_more=len(values) > MAX_COMPLETIONS,
        )
    )


async def _or_none(load: Awaitable[T]) -> T | None:
    """None if the load fails or takes too long."""
    try:
        async with asyncio.timeout(LOAD_TIMEOUT):
            return await load
    except (DevinError, TimeoutError) as error:
        add_call_facts(error=getattr(error, "kind", "timeout"))
        return None


async def _completable_names(caller: CallerContext, params: CompleteRequestParams) -> set[str]:
    """The arguments of the prompt, or the variables of the resource template."""
    if isinstance(params.ref, PromptReference):
        prompt, _ = await find_prompt(caller, params.ref.name)
        return (
            set()
            if prompt is None
            else {arg.name for arg in prompt_arguments(prompt, caller.visible)}
        )
    return {
        name
        for resource in caller.visible.resources
        if resource.uri == params.ref.uri
        for name in variable_names(resource)
    }
