"""Prompts: those declared, and one for each playbook. What is not ours is left to the SDK."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial

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
from mcp.types import Prompt as ListedPrompt

from devin_mcp.errors import Invalid
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.matching import Prompt, PromptVariant, RenderedPrompt
from devin_mcp.server.arguments import checked
from devin_mcp.server.context import Asked, Caller, ServerState, caller_of
from devin_mcp.server.pagination import ListSource, Rows, paginate
from devin_mcp.server.resources import MARKDOWN
from devin_mcp.server.schema import arguments_model, schema_of
from devin_mcp.server.visibility import VisibleTools


class Prompts:
    """The handlers of `prompts/*`."""

    def __init__(self, server: MCPServer[ServerState]) -> None:
        self._server = server

    async def list(self, ctx: Asked, params: PaginatedRequestParams) -> ListPromptsResult:
        caller = caller_of(ctx)
        sources = [
            ListSource(partial(one.cards, caller.devin(), caller.house), partial(_made, one))
            for one in caller.view.prompts
            if one.cards is not None
        ]
        page = await paginate(_fixed(caller.view), sources, params.cursor)
        others = [] if params.cursor else await self._server.list_prompts()
        return ListPromptsResult(
            prompts=page.things + others,
            next_cursor=page.following,
            ttl_ms=caller.kept_for_ms if page.complete else 0,
            cache_scope="private",
        )

    async def get(self, ctx: Asked, params: GetPromptRequestParams) -> GetPromptResult | None:
        """None for what is not ours but the SDK's."""
        caller = caller_of(ctx)
        prompt, card = await find(caller, params.name)
        if prompt is None:
            if params.name in {one.name for one in await self._server.list_prompts()}:
                return None
            raise MCPError(INVALID_PARAMS, "There is no prompt of that name. See prompts/list.")
        add_call_facts(prompt=prompt.name)
        # forms send an empty text for what was not filled in
        given = {name: value for name, value in (params.arguments or {}).items() if value.strip()}
        try:
            arguments = checked(given, schema_of(prompt.say), arguments_model(prompt.say))
        except Invalid as refusal:
            raise Invalid(refusal.what, "Fill it in and pick the prompt again.") from None
        add_call_facts(devin_session_id=arguments.get("session_id"))
        subject = () if card is None else (card.subject,)
        handout = await prompt.say(caller.devin(), caller.house, *subject, **arguments)
        return GetPromptResult(
            description=card.description if card else _description(prompt),
            messages=_messages(handout, caller.view),
        )


async def find(caller: Caller, name: str) -> tuple[Prompt | None, PromptVariant | None]:
    """The prompt of this name, with its card if it is made from one."""
    for prompt in caller.view.prompts:
        if prompt.cards is None and prompt.name == name:
            return prompt, None
    for prompt in caller.view.prompts:
        deck: Mapping[str, PromptVariant] = (
            {} if prompt.cards is None else await prompt.cards(caller.devin(), caller.house)
        )
        if name in deck:
            return prompt, deck[name]
    return None, None


def prompt_arguments(prompt: Prompt) -> list[PromptArgument]:
    schema = schema_of(prompt.say)
    required = schema.get("required", [])
    return [
        PromptArgument(name=name, description=part["description"], required=name in required)
        for name, part in schema["properties"].items()
    ]


def _fixed(view: VisibleTools) -> list[ListedPrompt]:
    return [
        ListedPrompt(
            name=one.name,
            title=one.name.replace("_", " ").capitalize(),
            description=_description(one),
            arguments=prompt_arguments(one),
        )
        for one in view.prompts
        if one.cards is None
    ]


def _made(prompt: Prompt, deck: Mapping[str, PromptVariant]) -> Rows[ListedPrompt]:
    arguments = prompt_arguments(prompt)
    return (
        (
            (name, ""),
            ListedPrompt(
                name=name,
                title=redactor.clean(card.title),
                description=redactor.clean(card.description),
                arguments=arguments,
            ),
        )
        for name, card in deck.items()
    )


def _description(prompt: Prompt) -> str:
    return inspect.cleandoc(prompt.say.__doc__ or "")


def _messages(handout: RenderedPrompt, view: VisibleTools) -> list[PromptMessage]:
    blocks: list[ContentBlock] = [
        TextContent(type="text", text=redactor.clean(handout.filled(view.text(handout.text))))
    ]
    if handout.attached is not None:
        uri, text = handout.attached
        blocks.append(
            EmbeddedResource(
                type="resource",
                resource=TextResourceContents(
                    uri=uri, mime_type=MARKDOWN, text=redactor.clean(text)
                ),
            )
        )
    return [PromptMessage(role="user", content=block) for block in blocks]
