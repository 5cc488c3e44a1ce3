"""Fixtures that the conformance suite expects on a server; names and texts are the suite's."""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

import anyio
from mcp import MCPError
from mcp.server import MCPServer, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Message, UserMessage
from mcp.server.subscriptions import PromptsListChanged, ServerEvent, ToolsListChanged
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    PromptReference,
    ResourceTemplateReference,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from devin_mcp.server.context import caller_of
from tests.third_party import asking, task_fixtures

ONE_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
ONE_SAMPLE = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA=="
PICTURE = ImageContent(type="image", data=ONE_PIXEL, mime_type="image/png")

EVERY_KEYWORD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def install(mcp: MCPServer[Any]) -> None:
    """Everything the suite's required scenarios of both revisions ask for."""
    _content(mcp)
    _events(mcp)
    _edges(mcp)
    _resources(mcp)
    _prompts(mcp)
    _handlers(mcp)
    asking.install(mcp)
    task_fixtures.install(mcp)


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(
        type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    )


def _content(mcp: MCPServer[Any]) -> None:
    @mcp.tool()
    def test_simple_text() -> str:
        """Answers with text."""
        return "This is a simple text response for testing."

    @mcp.tool()
    def test_image_content() -> list[ImageContent]:
        """Answers with a picture."""
        return [PICTURE]

    @mcp.tool()
    def test_audio_content() -> list[AudioContent]:
        """Answers with sound."""
        return [AudioContent(type="audio", data=ONE_SAMPLE, mime_type="audio/wav")]

    @mcp.tool()
    def test_embedded_resource() -> list[EmbeddedResource]:
        """Answers with a resource."""
        return [_embedded("test://embedded-resource", "This is an embedded resource content.")]

    @mcp.tool()
    def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
        """Answers with text, a picture and a resource."""
        data = _embedded(
            "test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json"
        )
        return [TextContent(type="text", text="Multiple content types test:"), PICTURE, data]


def _announce(ctx: Context[Any, Any], event: ServerEvent) -> None:
    """Notifies the caller's own subscribers, as our notifications do."""
    caller = caller_of(ctx.request_context)
    caller.state.subscriptions.of_key(caller.identity.key).notify(event)


def _events(mcp: MCPServer[Any]) -> None:
    @mcp.tool()
    async def test_tool_with_logging(ctx: Context[Any, Any]) -> str:
        """Logs three times on its way."""
        for step in ("started", "processing data", "completed"):
            await ctx.info(f"Tool execution {step}")
        return "Tool with logging executed successfully"

    @mcp.tool()
    async def test_logging_tool(ctx: Context[Any, Any]) -> str:
        """Logs once; 2026-07-28 lets that through only where the request asked for it."""
        await ctx.info("test_logging_tool ran")
        return "logged"

    @mcp.tool()
    async def test_tool_with_progress(ctx: Context[Any, Any]) -> str:
        """Reports progress at 0, 50 and 100."""
        for percent in (0, 50, 100):
            await ctx.report_progress(percent, 100, f"Completed step {percent} of 100")
        return "done"

    @mcp.tool()
    def test_trigger_tool_change(ctx: Context[Any, Any]) -> str:
        """Announces that the tools have changed."""
        _announce(ctx, ToolsListChanged())
        return "announced"

    @mcp.tool()
    def test_trigger_prompt_change(ctx: Context[Any, Any]) -> str:
        """Announces that the prompts have changed."""
        _announce(ctx, PromptsListChanged())
        return "announced"

    @mcp.tool()
    async def test_reconnection(ctx: Context[Any, Any]) -> str:
        """Closes its stream and answers on the next one."""
        await ctx.close_sse_stream()
        await anyio.sleep(0.2)  # by then the client should be back
        return "Reconnection test completed"


def _edges(mcp: MCPServer[Any]) -> None:
    @mcp.tool()
    def test_error_handling() -> str:
        """Answers with an error result that has a text."""
        raise ToolError("This tool intentionally returns an error for testing")

    @mcp.tool()
    async def test_missing_capability(ctx: Context[Any, Any]) -> str:
        """Refuses clients that cannot sample, as a protocol error."""
        can = ctx.client_capabilities
        if can is None or can.sampling is None:
            needs: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                "This tool needs a client that can sample",
                needs,
            )
        return "the client can sample"

    @mcp.tool()
    def test_x_mcp_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",
    ) -> str:
        """Has an argument that is mirrored into a header."""
        return f"region={region}"

    @mcp.tool()
    def json_schema_2020_12_tool() -> str:
        """Has an input schema with every keyword that must survive."""
        return "never called"

    tools = mcp._tool_manager._tools  # noqa: SLF001 - no public way to set a tool's schema
    tools["json_schema_2020_12_tool"].parameters = EVERY_KEYWORD


def _resources(mcp: MCPServer[Any]) -> None:
    @mcp.resource("test://static-text")
    def static_text() -> str:
        """A text resource with this very content."""
        return "This is the content of the static text resource."

    @mcp.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """A binary resource: the picture as a blob."""
        return base64.b64decode(ONE_PIXEL)

    @mcp.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """A template: the content has the id of the requested URI."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @mcp.resource("test://watched-resource")
    def watched() -> str:
        """The resource that a client subscribes to and unsubscribes from."""
        return "Watched resource content"


def _prompts(mcp: MCPServer[Any]) -> None:
    @mcp.prompt()
    def test_simple_prompt() -> list[Message]:
        """A prompt without arguments."""
        return [UserMessage("This is a simple prompt for testing.")]

    @mcp.prompt()
    def test_prompt_with_arguments(arg1: str, arg2: str) -> list[Message]:
        """A prompt whose message has the values of both arguments."""
        return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]

    @mcp.prompt()
    def test_prompt_with_embedded_resource(
        resourceUri: str,  # noqa: N803 - the suite's name
    ) -> list[Message]:
        """A prompt that embeds a resource with the requested URI."""
        data = _embedded(resourceUri, "Embedded resource content for testing.")
        return [UserMessage(data), UserMessage("Please process the embedded resource above.")]

    @mcp.prompt()
    def test_prompt_with_image() -> list[Message]:
        """A prompt with a picture."""
        return [UserMessage(PICTURE), UserMessage("Please analyze the image above.")]


def _handlers(mcp: MCPServer[Any]) -> None:
    @mcp.completion()  # type: ignore[no-untyped-call,untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        return Completion(values=[], total=0, has_more=False)

    async def accept(_: ServerRequestContext[Any, Any], __: Any) -> EmptyResult:
        return EmptyResult()

    # Requests of 2025-11-25 that MCPServer itself does not serve.
    low_level = mcp._lowlevel_server  # noqa: SLF001 - no public way
    low_level.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    low_level.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    low_level.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)
