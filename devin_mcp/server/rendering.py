"""Renders a result as MCP content: structured data and the same as compact JSON, never above the
limit.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent

from devin_mcp.api.memory import MIB
from devin_mcp.api.sizes import size_of
from devin_mcp.errors import Broken, DevinError
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.file_content import FileContent
from devin_mcp.operations.results import NO_LIMIT, Result, Truncatable, truncate_row
from devin_mcp.server.visibility import VisibleTools

MAX_RENDERED_BYTES = 4 * MIB
"""A larger result is shortened before it is rendered for the first time."""


def render(
    result: Result | Truncatable[Any], visible: VisibleTools, limit: int
) -> tuple[CallToolResult, Result]:
    """The MCP result within `limit` characters, and the result it was rendered from.

    Some hosts show the model only the structured part, others only the text: each is complete.
    """
    whole = result if isinstance(result, Result) else result.build(NO_LIMIT)
    if isinstance(whole, FileContent):
        file = whole if isinstance(result, Result) else result.build(limit)
        return _render_file(file), whole
    text = None if size_of(whole) > MAX_RENDERED_BYTES else _to_json(whole, visible)
    if text is None or len(text) > limit:
        short = truncate_row(whole, limit) if isinstance(result, Result) else result.build(limit)
        text = _to_json(short, visible)
        add_call_facts(shortened=True)
    if len(text) > limit:
        add_call_facts(error="too_long")
        error = Broken(
            f"The answer does not fit into {limit} characters (--result-limit).",
            "Ask for less at once.",
        )
        return render_error(error, visible), whole
    content: list[ContentBlock] = [TextContent(type="text", text=text)]
    return CallToolResult(content=content, structured_content=json.loads(text)), whole


def error_text(error: DevinError, visible: VisibleTools) -> str:
    """What happened, whether anything changed, what to do next; hidden tools are not named."""
    return printable(f"{error.message} {visible.text(error.advice)}".strip())


def render_error(error: DevinError, visible: VisibleTools) -> CallToolResult:
    text = error_text(error, visible)
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


def printable_error(result: Any) -> Any:
    """A result of the SDK's own; an error repeats the name that the client gave."""
    if not isinstance(result, CallToolResult) or not result.is_error:
        return result
    content = [
        block.model_copy(update={"text": printable(block.text)})
        if isinstance(block, TextContent)
        else block
        for block in result.content
    ]
    return result.model_copy(update={"content": content})


def _to_json(result: Result, visible: VisibleTools) -> str:
    sentence = getattr(result, "next", None)
    if sentence is not None:
        visible_sentence = visible.text(sentence)
        if visible_sentence != sentence:
            result = result.model_copy(update={"next": visible_sentence})
    return redactor.clean_json(result.model_dump_json(exclude_none=True))


def _render_file(file: FileContent) -> CallToolResult:
    """A file is shown as what it is, so its tool has no output schema."""
    about = f"{file.name}: {file.media_type}, {file.size} bytes."
    if file.saved_to is not None:
        saved = TextContent(type="text", text=f"{about} Saved to {file.saved_to}.")
        return CallToolResult(content=[saved])
    if file.image is not None:
        data = base64.b64encode(file.image).decode()
        return CallToolResult(
            content=[
                TextContent(type="text", text=about),
                ImageContent(type="image", data=data, mime_type=file.media_type),
            ]
        )
    # The file's own text is third-party data, so it is a block apart from ours.
    header = {
        "about": about,
        "from_char": file.from_char,
        "truncated": file.truncated,
        "length": file.length,
        "next": file.next or None,
    }
    return CallToolResult(
        content=[
            TextContent(type="text", text=_json_without_nulls(header)),
            TextContent(type="text", text=redactor.clean(file.text or "")),
        ]
    )


def _json_without_nulls(values: Mapping[str, object]) -> str:
    present = {name: value for name, value in values.items() if value is not None}
    return json.dumps(present, ensure_ascii=False)
