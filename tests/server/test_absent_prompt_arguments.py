"""What counts as absent in prompts and completions: texts of which nothing is visible."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from mcp.types import Prompt, PromptReference, ResourceTemplateReference

from tests.conftest import Connect, ToolClient

pytestmark = pytest.mark.usefixtures("api")

Reference = PromptReference | ResourceTemplateReference

BLANKS = ["", " ", "\n", "\u200b"]


async def get(client: ToolClient, prompt: Prompt, arguments: dict[str, str]) -> list[Any]:
    return (await client.sdk.get_prompt(prompt.name, arguments)).messages


async def test_blank_argument_of_a_prompt_is_absent(connect: Connect) -> None:
    """A required one is refused, with its name."""
    async with connect() as client:
        session_id = await client.create_session()
        for prompt in (await client.sdk.list_prompts()).prompts:
            arguments = prompt.arguments or []
            required = {item.name: session_id for item in arguments if item.required}
            without = await get(client, prompt, required)
            for argument in arguments:
                for blank in BLANKS:
                    given = required | {argument.name: blank}
                    if argument.required:
                        with pytest.raises(Exception, match=f"{argument.name} must not be empty"):
                            await get(client, prompt, given)
                    else:
                        assert await get(client, prompt, given) == without, (prompt.name, blank)


async def test_blank_text_is_completed_as_if_nothing_was_typed(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        for reference, names in await completable(client):
            for name in names:
                complete = partial(complete_one, client, reference, name)
                for blank in BLANKS:
                    assert await complete(blank) == await complete("")
                    assert await complete("", session_id=blank) == await complete("")
                    nothing_typed = await complete("", session_id=session_id)
                    assert await complete(blank, session_id=session_id) == nothing_typed


async def complete_one(
    client: ToolClient, reference: Reference, name: str, typed: str, **context: str
) -> list[str]:
    argument = {"name": name, "value": typed}
    return (await client.sdk.complete(reference, argument, context or None)).completion.values


async def completable(client: ToolClient) -> list[tuple[Reference, list[str]]]:
    """Every prompt and template, with the names of what can be completed in it."""
    prompts = (await client.sdk.list_prompts()).prompts
    templates = (await client.sdk.list_resource_templates()).resource_templates
    found: list[tuple[Reference, list[str]]] = [
        (
            PromptReference(type="ref/prompt", name=prompt.name),
            [item.name for item in prompt.arguments or []],
        )
        for prompt in prompts
    ]
    for template in templates:
        uri = template.uri_template
        reference = ResourceTemplateReference(type="ref/resource", uri=uri)
        found.append((reference, re.findall(r"{\??(\w+)}", uri)))
    return found
