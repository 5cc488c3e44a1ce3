"""Completion of what a person types: from what is kept for a moment, so that typing on sends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import chain
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
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.matching import MAX_COMPLETIONS, best
from devin_mcp.server.context import Asked, Caller, caller_of
from devin_mcp.server.prompts import find, prompt_arguments
from devin_mcp.server.resource_uris import variables

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds a person who types is kept waiting; what is loading then is there for the next key."""


async def complete(ctx: Asked, params: CompleteRequestParams) -> CompleteResult:
    """At most 100 values, best match first. Trouble with Devin gives none and is logged: nobody asked for anything yet."""
    caller, name = caller_of(ctx), params.argument.name
    filled = (params.context.arguments if params.context else None) or {}
    names = await _or_nothing(_names(caller, params))
    if names is not None and name not in names:
        raise MCPError(INVALID_PARAMS, "There is nothing of that name to complete.")
    sources = [] if names is None else caller.view.completions(name)
    found = await asyncio.gather(
        *(_or_nothing(one.candidates(caller.devin(), caller.house, filled)) for one in sources)
    )
    values = [
        redactor.clean(one)
        for one in best(chain.from_iterable(one or () for one in found), params.argument.value)
    ]
    return CompleteResult(
        completion=Completion(
            values=values[:MAX_COMPLETIONS],
            total=len(values),
            has_more=len(values) > MAX_COMPLETIONS,
        )
    )


async def _or_nothing(source: Awaitable[T]) -> T | None:
    """What fails or takes too long does not silence the others."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await source
    except (DevinError, TimeoutError) as trouble:
        add_call_facts(error=getattr(trouble, "kind", "timeout"))
        return None


async def _names(caller: Caller, params: CompleteRequestParams) -> set[str]:
    """What can be completed there: the arguments of a prompt, or the variables of a template."""
    if isinstance(params.ref, PromptReference):
        prompt, _ = await find(caller, params.ref.name)
        return set() if prompt is None else {argument.name for argument in prompt_arguments(prompt)}
    return {
        name
        for one in caller.view.resources
        if one.uri == params.ref.uri
        for name in variables(one)
    }
