"""Devin's analysis of a session: what went wrong, what to change, and a better prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import Field

from devin_mcp.api.endpoint import Endpoint, Lookup
from devin_mcp.api.models import Acknowledgement, ApiModel, ListOrNull, ShortText
from devin_mcp.errors import DevinError, Refused
from devin_mcp.operations.capabilities import WRITE, Requires
from devin_mcp.operations.catalog import READ, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import FromChar, SessionId
from devin_mcp.operations.results import (
    NO_LIMIT,
    ROOM_FOR_NEXT,
    Next,
    Result,
    Truncatable,
    count_that_fit,
    json_chars,
    prefix_that_fits,
)
from devin_mcp.settings.toolsets import INSIGHTS

GENERATE_INSIGHTS = Lookup(
    v3=Endpoint.parse(
        "get_session_insights",
        "v3",
        "POST /sessions/{session_id}/insights/generate",
        permission="ManageOrgSessions",
        if_reply_lost="Look in a minute, without generate, whether there is an analysis.",
    )
)
MAX_TEXT_CHARS = 2000
"""Of a text in an issue or action item where not all fits."""
LOOK_AGAIN = "Look again in a minute, without generate."


class Issue(ApiModel):
    """What went wrong in a session (v3.md §5.7)."""

    label: ShortText | None = None
    issue: ShortText | None = None
    impact: ShortText | None = None


class ActionItem(ApiModel):
    """What to do about it."""

    type: ShortText | None = None
    action_item: ShortText | None = None


class SuggestedPrompt(ApiModel):
    """A prompt that would have worked better."""

    suggested_prompt: str | None = None


class Classification(ApiModel):
    category: ShortText | None = None


class Analysis(ApiModel):
    """Devin's analysis of a session."""

    issues: ListOrNull[Issue] = []
    action_items: ListOrNull[ActionItem] = []
    classification: Classification | None = None
    suggested_prompt: SuggestedPrompt | None = None


class AnalysedSession(ApiModel):
    """A session with its analysis."""

    session_size: ShortText | None = None
    num_user_messages: int | None = None
    num_devin_messages: int | None = None
    analysis: Analysis | None = None


class SessionInsights(Result):
    session_id: str
    size: str | None = Field(None, description="xs to xl")
    user_messages: int | None = None
    devin_messages: int | None = None
    category: str | None = None
    issues: list[Issue] | None = None
    issues_left_out: int | None = None
    action_items: list[ActionItem] | None = None
    action_items_left_out: int | None = None
    suggested_prompt: str | None = None
    suggested_prompt_length: int | None = Field(None, description="Of the whole, when cut")
    next: Next


@operation(
    READ,
    INSIGHTS,
    v3="GET /sessions/{session_id}/insights",
    permission="ViewOrgSessions",
    writes_with=WRITE,
    search_hint="why did a session fail or take long, retrospective, post-mortem, lessons, improve "
    "the prompt",
)
async def get_session_insights(
    ctx: Context,
    session_id: SessionId,
    generate: Annotated[
        bool, Field(description="Ask Devin for an analysis"), Requires(WRITE)
    ] = False,
    from_char: FromChar = 0,
) -> Truncatable[SessionInsights]:
    """Read Devin's analysis of a session: issues, action items, size and a better prompt."""
    if not generate:
        return _insights(session_id, await _read(ctx, session_id), from_char)
    await _ask_for_analysis(ctx, session_id)
    try:
        return _insights(session_id, await _read(ctx, session_id), from_char, was_asked=True)
    except DevinError as error:  # the analysis was asked for all the same
        asked = f"An analysis was asked for. It could not be read now: {error.message} {LOOK_AGAIN}"
        return Truncatable(lambda _: SessionInsights(session_id=session_id, next=asked))


async def _read(ctx: Context, session_id: str) -> AnalysedSession:
    return await ctx.send(get_session_insights, AnalysedSession, session_id=session_id)


async def _ask_for_analysis(ctx: Context, session_id: str) -> None:
    try:
        await ctx.send(GENERATE_INSIGHTS, Acknowledgement, session_id=session_id)
    except Refused as refusal:
        if refusal.status != 409:  # there is one already
            raise


def _insights(
    session_id: str, session: AnalysedSession, start: int, *, was_asked: bool = False
) -> Truncatable[SessionInsights]:
    analysis = session.analysis or Analysis()
    suggested = analysis.suggested_prompt
    prompt = (suggested.suggested_prompt if suggested else None) or ""
    whole = SessionInsights(
        session_id=session_id,
        size=session.session_size,
        user_messages=session.num_user_messages,
        devin_messages=session.num_devin_messages,
        category=analysis.classification.category if analysis.classification else None,
        next=_next(session, prompt, was_asked=was_asked),
    )
    if session.analysis is not None:
        whole.issues, whole.action_items = analysis.issues, analysis.action_items

    def build(limit: int) -> SessionInsights:
        view = whole.model_copy()
        part = prompt[start:]
        if limit < NO_LIMIT:
            _shorten(view, limit // 3)
            part = prefix_that_fits(part, limit - json_chars(view) - ROOM_FOR_NEXT)
        if not prompt:
            return view
        end = start + len(part)
        view.suggested_prompt = part
        view.suggested_prompt_length = len(prompt) if len(part) < len(prompt) else None
        if end < len(prompt):
            view.next = (
                f"The prompt was cut: devin_get_session_insights with from_char={end} reads it on."
            )
        return view

    return Truncatable(build)


def _shorten(view: SessionInsights, room: int) -> None:
    """Give issues and action items at most `room` characters each."""
    issues, items = view.issues or [], view.action_items or []
    view.issues, view.issues_left_out = _part(issues, room)
    view.action_items, view.action_items_left_out = _part(items, room)
    if (view.issues, view.action_items) != (issues, items):
        view.next = "Texts that end in … and rows that are left out are in Devin's web app."


RowT = TypeVar("RowT", bound=ApiModel)


def _part(rows: Sequence[RowT], room: int) -> tuple[list[RowT], int | None]:
    """The first rows that fit, long texts shortened, and how many rows are left out."""
    shortened = [
        row.model_copy(
            update={
                name: f"{text[:MAX_TEXT_CHARS]}…"
                for name, text in row
                if isinstance(text, str) and len(text) > MAX_TEXT_CHARS
            }
        )
        for row in rows
    ]
    part = shortened[: count_that_fit(shortened, room)]
    return part, (len(rows) - len(part)) or None


def _next(session: AnalysedSession, prompt: str, *, was_asked: bool) -> str:
    if session.analysis is None:
        if was_asked:
            return f"Devin analyses the session. {LOOK_AGAIN}"
        return (
            "There is no analysis yet. If one was asked for, look again in a minute; otherwise "
            "generate=true asks for one, or somebody does in Devin's web app."
        )
    if prompt:
        return "Start anew with the better prompt in devin_delegate_task."
    return "What went wrong can go into a note: devin_create_knowledge."
