"""From a result to what a host gets: structured content, the same as compact JSON, never more than the limit."""

from __future__ import annotations

import base64
import json
from typing import TypeVar

from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel

from devin_mcp.errors import Broken, DevinError
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.attachments import Download
from devin_mcp.operations.results import Result
from devin_mcp.server.visibility import VisibleTools

ResultT = TypeVar("ResultT", bound=BaseModel)


def present(result: Result, view: VisibleTools, limit: int) -> CallToolResult:
    """Some hosts show the model only the structured part, others only the text: each is enough alone."""
    if isinstance(result, Download):
        return _download(result, limit)
    text = _as_json(result, view)
    if len(text) > limit:
        text = _as_json(result.within(limit), view)
        add_call_facts(shortened=True)
    if len(text) > limit:
        add_call_facts(error="too_long")
        return present_error(
            Broken(
                f"The answer does not fit into {limit} characters (--result-limit).",
                "Ask for less at once.",
            ),
            view,
        )
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=json.loads(text)
    )


def _as_json(result: BaseModel, view: VisibleTools) -> str:
    return redactor.clean_json(_rendered(result, view).model_dump_json(exclude_none=True))


def present_error(error: DevinError, view: VisibleTools) -> CallToolResult:
    """What happened, whether anything changed, what to do next; tools that are not there are not named."""
    text = f"{error.what} {view.text(error.advice)}".strip()
    return CallToolResult(
        content=[TextContent(type="text", text=redactor.clean(text))], is_error=True
    )


def _rendered(result: ResultT, view: VisibleTools) -> ResultT:
    text = getattr(result, "next", "")
    shown = view.text(text)
    if shown != text:
        setattr(result, "next", shown)  # noqa: B010 - the field is declared by the results that have one
    return result


def _download(result: Download, limit: int) -> CallToolResult:
    """The named exception: a file comes as what it is, so this tool has no output schema."""
    content: list[ContentBlock] = []
    about = f"{result.name}: {result.media_type}, {result.size} bytes."
    if result.saved_to is not None:
        content.append(TextContent(type="text", text=f"{about} Saved to {result.saved_to}."))
    elif result.image is not None:
        content.append(TextContent(type="text", text=about))
        content.append(
            ImageContent(
                type="image",
                data=base64.b64encode(result.image).decode(),
                mime_type=result.media_type,
            )
        )
    else:
        result = result.within(limit)
        # The file's own text stands apart from ours, encoded as data: it is a third party's.
        facts = {
            "about": about,
            "from_char": result.from_char,
            "truncated": result.truncated,
            "length": result.length,
        }
        known = {
            name: value
            for name, value in {**facts, "next": result.next or None}.items()
            if value is not None
        }
        file = json.dumps(known, ensure_ascii=False)
        content.append(TextContent(type="text", text=file))
        content.append(TextContent(type="text", text=redactor.clean(result.text or "")))
    return CallToolResult(content=content)
