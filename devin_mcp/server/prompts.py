"""Prompts: the declared ones and their variants, one per playbook. Other prompts are left to the
SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from mcp import MCPError
from mcp.server import MCPServer
from mcp.types import (
    INVALID_PARAMS,
    ContentBlock,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)
from mcp.types import Prompt as McpPrompt

from devin_mcp.errors import Invalid
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.browsing import Prompt, PromptVariant, RenderedPrompt, Variants
from devin_mcp.operations.docstrings import docstring_of
from devin_mcp.server.arguments import validate_arguments
from devin_mcp.server.call_log import add_subject_ids
from devin_mcp.server.context import CallerContext, RequestContext, ServerState, current_caller
from devin_mcp.server.pagination import ListSource, SortedItems, paginate
from devin_mcp.server.resources import MARKDOWN
from devin_mcp.server.schema import arguments_model, parameters_schema, publish
from devin_mcp.server.visibility import VisibleTools


class PromptHandlers:
    """The handlers of `prompts/*`."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(self, _: RequestContext, params: PaginatedRequestParams) -> ListPromptsResult:
        caller = current_caller.get()
        sources = [
            ListSource(
                partial(prompt.variants.load, caller.context()),
                partial(_variant_items, prompt_arguments(prompt, caller.visible), prompt.variants),
            )
            for prompt in caller.visible.prompts
            if prompt.variants is not None
        ]
        page = await paginate(_fixed_prompts(caller.visible), sources, params.cursor)
        sdk_prompts = [] if params.cursor else await self._server.list_prompts()
        return ListPromptsResult(
            prompts=page.items + sdk_prompts,
            next_cursor=page.next_cursor,
            ttl_ms=caller.cache_ttl_ms if page.is_complete else 0,
            cache_scope="private",
        )

    async def get(
        self, _: RequestContext, params: GetPromptRequestParams
    ) -> GetPromptResult | None:
        """None for a prompt of the SDK."""
        caller = current_caller.get()
        prompt, variant = await find_prompt(caller, params.name)
        if prompt is None:
            if params.name in {prompt.name for prompt in await self._server.list_prompts()}:
                return None
            raise MCPError(INVALID_PARAMS, "There is no prompt of that name. See prompts/list.")
        add_call_facts(prompt=prompt.name)
        arguments = _validate(prompt, params.arguments or {}, caller.visible)
        add_subject_ids(arguments)
        records = () if variant is None else (variant.record,)
        rendered = await prompt.render(caller.context(), *records, **arguments)
        return GetPromptResult(
            description=printable(variant.description) if variant else _description(prompt),
            messages=_messages(rendered, caller.visible),
        )


def _validate(
    prompt: Prompt, arguments: Mapping[str, str], visible: VisibleTools
) -> dict[str, object]:
    try:
        return validate_arguments(
            arguments,
            parameters_schema(prompt.render, prompt.record_parameter),
            arguments_model(prompt.render, prompt.record_parameter),
            visible.capabilities,
        )
    except Invalid as error:
        raise Invalid(error.message, "Fill it in and pick the prompt again.") from None


async def find_prompt(
    caller: CallerContext, name: str
) -> tuple[Prompt | None, PromptVariant | None]:
    """The prompt of this name, and its variant if the name is that of one."""
    for prompt in caller.visible.prompts:
        if prompt.variants is None and prompt.name == name:
            return prompt, None
    for prompt in caller.visible.prompts:
        if prompt.variants is not None:
            records = await prompt.variants.load(caller.context())
            variants = await anyio.to_thread.run_sync(prompt.variants.build, records)
            if name in variants:
                return prompt, variants[name]
    return None, None


def prompt_arguments(prompt: Prompt, visible: VisibleTools) -> list[PromptArgument]:
    declared = parameters_schema(prompt.render, prompt.record_parameter)
    schema = publish(declared, visible.capabilities)
    required = schema.get("required", [])
    return [
        PromptArgument(name=name, description=parameter["description"], required=name in required)
        for name, parameter in schema["properties"].items()
    ]


def _fixed_prompts(visible: VisibleTools) -> list[Callable[[], McpPrompt]]:
    def build(prompt: Prompt) -> McpPrompt:
        return McpPrompt(
            name=prompt.name,
            title=prompt.title,
            description=_description(prompt),
            arguments=prompt_arguments(prompt, visible),
        )

    return [partial(build, prompt) for prompt in visible.prompts if prompt.variants is None]


def _variant_items(
    arguments: list[PromptArgument], variants: Variants, records: Any
) -> SortedItems[McpPrompt]:

    def build(name: str, variant: PromptVariant) -> McpPrompt:
        return McpPrompt(
            name=name,
            title=printable(variant.title),
            description=printable(variant.description),
            arguments=arguments,
        )

    by_name = variants.build(records)
    return (((name, ""), partial(build, name, variant)) for name, variant in by_name.items())


def _description(prompt: Prompt) -> str:
    return docstring_of(prompt.render)


def _messages(rendered: RenderedPrompt, visible: VisibleTools) -> list[PromptMessage]:
    text = redactor.clean(rendered.fill(visible.text(rendered.text)))
    blocks: list[ContentBlock] = [TextContent(type="text", text=text)]
    if rendered.attached is not None:
        uri, markdown = rendered.attached
        contents = TextResourceContents(uri=uri, mime_type=MARKDOWN, text=redactor.clean(markdown))
        blocks.append(EmbeddedResource(type="resource", resource=contents))
    return [PromptMessage(role="user", content=block) for block in blocks]
