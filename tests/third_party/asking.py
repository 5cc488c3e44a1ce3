"""The conformance suite's fixtures that ask the client: elicitation, sampling, roots."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)

Json = dict[str, Any]

PRIMITIVES: Json = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}

_PLAIN = ["option1", "option2", "option3"]
_TITLED = [
    {"const": f"value{number}", "title": f"{word} option"}
    for number, word in enumerate(("First", "Second", "Third"), 1)
]
CHOICES: Json = {
    "untitledSingle": {"type": "string", "enum": _PLAIN},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {
        "type": "string",
        "enum": ["opt1", "opt2"],
        "enumNames": ["Option one", "Option two"],
    },
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _PLAIN}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}


def install(mcp: MCPServer[Any]) -> None:
    _mid_call(mcp)
    _once(mcp, "elicitation", {"user_name": form("What is your name?", "name")}, _greeting)
    _once(mcp, "sampling", {"capital_question": sample("What is the capital of France?")}, _sampled)
    _once(mcp, "list_roots", {"client_roots": ListRootsRequest()}, _counted_roots)
    _once(
        mcp,
        "request_state",
        {"confirm": form("Please confirm", ok="boolean")},
        lambda _: "state-ok",
        "confirming",
    )
    _once(
        mcp,
        "tampered_state",
        {"confirm": form("Please confirm", ok="boolean")},
        lambda _: "state-ok",
        "sealed",
    )
    everything: dict[str, InputRequest] = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Say hello"),
        "client_roots": ListRootsRequest(),
    }
    _once(
        mcp,
        "multiple_inputs",
        everything,
        lambda responses: f"{len(responses)} answers",
        "all at once",
    )
    mcp.add_tool(_in_rounds, name="test_input_required_result_multi_round")
    mcp.add_tool(_within_capabilities, name="test_input_required_result_capabilities")
    mcp.add_tool(_streaming, name="test_streaming_elicitation")
    mcp.prompt(name="test_input_required_result_prompt")(_asking_prompt)


def form(message: str, *texts: str, **fields: str) -> ElicitRequest:
    """A form that requires these text fields, and others by their JSON type."""
    kinds = dict.fromkeys(texts, "string") | fields
    return ElicitRequest(
        params=ElicitRequestFormParams(message=message, requested_schema=_schema(kinds))
    )


def sample(text: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(
        params=CreateMessageRequestParams(messages=[message], max_tokens=100)
    )


def _mid_call(mcp: MCPServer[Any]) -> None:
    # Without related_request_id the request would go to the stream of a GET, which may not be open.
    @mcp.tool()
    async def test_sampling(prompt: str, ctx: Context[Any, Any]) -> str:
        """Has the client's model answer a prompt."""
        asked = sample(prompt).params
        result = await ctx.session.create_message(
            asked.messages, max_tokens=100, related_request_id=ctx.request_id
        )
        return f"LLM response: {_text_of(result)}"

    async def ask(ctx: Context[Any, Any], message: str, schema: Json) -> str:
        result = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
        return f"User response: action={result.action}, content={json.dumps(result.content)}"

    @mcp.tool()
    async def test_elicitation(message: str, ctx: Context[Any, Any]) -> str:
        """Asks the user a question."""
        return await ask(ctx, message, _schema({"username": "string", "email": "string"}))

    @mcp.tool()
    async def test_elicitation_sep1034_defaults(ctx: Context[Any, Any]) -> str:
        """Asks with a default for every primitive type."""
        return await ask(ctx, "Please check these", {"type": "object", "properties": PRIMITIVES})

    @mcp.tool()
    async def test_elicitation_sep1330_enums(ctx: Context[Any, Any]) -> str:
        """Asks with every kind of choice."""
        return await ask(ctx, "Please choose", {"type": "object", "properties": CHOICES})


def _once(
    mcp: MCPServer[Any],
    name: str,
    requests: Mapping[str, InputRequest],
    answer: Callable[[Mapping[str, Any]], str | None],
    state: str | None = None,
) -> None:
    """A tool that asks, and asks again while `answer` returns None for what came back."""

    async def tool(ctx: Context[Any, Any]) -> str | InputRequiredResult:
        responses = ctx.input_responses or {}
        complete = requests.keys() <= responses.keys() and ctx.request_state == state
        text = answer(responses) if complete else None
        if text is not None:
            return text
        return InputRequiredResult(input_requests=dict(requests), request_state=state)

    mcp.add_tool(
        tool, name=f"test_input_required_result_{name}", description=f"Asks the client: {name}."
    )


async def _in_rounds(ctx: Context[Any, Any]) -> str | InputRequiredResult:
    """Asks two things, one after the other, and keeps the first answer in the state."""
    responses = ctx.input_responses or {}
    name = ctx.request_state
    if name and (color := _field(responses.get("step2"), "color")):
        return f"{name} likes {color}."
    if name == "" and (first := _field(responses.get("step1"), "name")):
        second = form("Step 2: what is your favourite colour?", "color")
        return InputRequiredResult(input_requests={"step2": second}, request_state=first)
    return InputRequiredResult(
        input_requests={"step1": form("Step 1: what is your name?", "name")}, request_state=""
    )


async def _within_capabilities(ctx: Context[Any, Any]) -> InputRequiredResult:
    """Asks only what the client said it can answer."""
    can = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        requests["sampled"] = sample("Say hello")
    if can is not None and can.elicitation is not None:
        requests["asked"] = form("What is your name?", "name")
    return InputRequiredResult(input_requests=requests, request_state="within capabilities")


async def _streaming(ctx: Context[Any, Any]) -> str | InputRequiredResult:
    """Asks, so that the stream of a call that asks can be watched."""
    word = _field((ctx.input_responses or {}).get("word"), "word")
    return word or InputRequiredResult(input_requests={"word": form("Which word?", "word")})


async def _asking_prompt(ctx: Context[Any, Any]) -> list[UserMessage] | InputRequiredResult:
    """A prompt that needs to know more."""
    context = _field((ctx.input_responses or {}).get("user_context"), "context")
    if context is None:
        return InputRequiredResult(
            input_requests={"user_context": form("In which context?", "context")}
        )
    return [UserMessage(f"Use the following context: {context}")]


def _schema(kinds: Mapping[str, str]) -> Json:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in kinds.items()},
        "required": [*kinds],
    }


def _field(response: Any, name: str) -> str | None:
    """A text the user filled in; None when they did not, or the client answered something else."""
    value = (
        response.content.get(name)
        if isinstance(response, ElicitResult) and response.content
        else None
    )
    return value if isinstance(value, str) and value else None


def _text_of(result: Any) -> str | None:
    content = result.content if isinstance(result, CreateMessageResult) else None
    return content.text if isinstance(content, TextContent) else None


def _greeting(responses: Mapping[str, Any]) -> str | None:
    name = _field(responses["user_name"], "name")
    return f"Hello, {name}!" if name else None


def _sampled(responses: Mapping[str, Any]) -> str | None:
    return _text_of(responses["capital_question"])


def _counted_roots(responses: Mapping[str, Any]) -> str | None:
    roots = responses["client_roots"]
    return f"{len(roots.roots)} roots" if isinstance(roots, ListRootsResult) else None
