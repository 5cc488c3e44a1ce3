"""Delegation: one call that starts a session with all it needs, never twice, and can wait for the
outcome.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from devin_mcp.errors import Broken, DevinError, Invalid, NotSent, ReplyLost, SlowDown
from devin_mcp.observability.log import add_call_facts
from devin_mcp.operations.catalog import CREATE, workflow
from devin_mcp.operations.context import Context
from devin_mcp.operations.idempotency import TAG_PREFIX, IdempotentStart, tag_for
from devin_mcp.operations.knowledge.listing import resolve_notes
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.parameters import MAX_TAGS, MAX_WAIT_SECONDS, Tag, Text
from devin_mcp.operations.playbooks.tools import resolve_playbook
from devin_mcp.operations.prompt_files import prompt_with_files
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.sessions.listing import sessions_with_tag
from devin_mcp.operations.sessions.model import PhaseText, Session, SessionSummary
from devin_mcp.operations.sessions.start import SessionCreated, SessionRequest, start_session
from devin_mcp.operations.sessions.tools import create_session, read_session
from devin_mcp.operations.sessions.view import next_step
from devin_mcp.operations.waiting.result import WaitResult, WithUpdates, with_updates
from devin_mcp.operations.waiting.tool import wait_after

SEARCH_SECONDS = 12.0
"""Part of the call that is reserved for finding the session if the reply is lost."""
MIN_START_SECONDS = 2.0
"""A start is not begun with less time than this."""
SEARCH_DELAYS_SECONDS = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds before each search for a session that may have been started."""

Repository = Annotated[
    str,
    Field(
        max_length=300,
        pattern=r"^(https?://[\w.:-]+/)?[\w.~-]+(/[\w.~-]+)+/?$",
        description="owner/name",
    ),
]


class Delegated(WithUpdates):
    """The result: the session that works on the task."""

    phase: PhaseText
    url: str | None = None
    is_new_session: bool
    max_acu_limit: int | None = None
    tag: str = Field(description="Of this session alone")
    remark: str | None = Field(None, description="How it came about")

    def updated(self, wait: WaitResult) -> Delegated:
        delegated = super().updated(wait)
        delegated.phase = wait.sessions[0].phase or delegated.phase
        return delegated


@workflow(CREATE, "sessions", spends=True)
async def delegate_task(
    ctx: Context,
    prompt: Annotated[Text, Field(description="The task, complete in itself")],
    title: Annotated[
        str | None, Field(max_length=500, description="Made by Devin when absent")
    ] = None,
    repository: Repository | None = None,
    playbook: Annotated[
        str | None,
        Field(max_length=500, description="Id, !macro or exact title"),
    ] = None,
    knowledge: Annotated[
        list[str] | None,
        Field(max_length=200, description="Ids or names of notes; absent = all, [] = none"),
    ] = None,
    files: Annotated[
        list[str] | None, Field(max_length=20, description="Local paths or attachment URLs")
    ] = None,
    tags: Annotated[
        list[Tag] | None, Field(max_length=MAX_TAGS - 1, description="Labels, at most 49")
    ] = None,
    max_acu_limit: Annotated[int | None, Field(gt=0, description="Spending cap in ACUs")] = None,
    structured_output_schema: Annotated[
        OutputSchema | None, Field(description="JSON Schema (draft 7) to fill")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Safe to repeat: the same key starts no second session",
        ),
    ] = None,
    max_wait_s: Annotated[
        int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for updates")
    ] = 0,
) -> Truncatable[Delegated]:
    """Hand a coding task to Devin, an autonomous software engineer, which costs ACUs.

    Checks and uploads everything before starting. Returns the session's id, link and phase; with
    max_wait_s it goes on as devin_wait_for_sessions does.
    """
    task = f"{prompt}\n\nRepository: {repository}" if repository else prompt
    validate_output_schema(structured_output_schema)
    if any(tag.startswith(TAG_PREFIX) for tag in tags or ()):
        raise Invalid(f"Tags that begin with {TAG_PREFIX} are this server's own.")
    tag = tag_for(idempotency_key)
    start = IdempotentStart()
    if idempotency_key is not None:
        start = ctx.idempotency.get(ctx.key.fingerprint, tag)
    async with start.lock(ctx.deadline):
        delegated = None
        if idempotency_key is not None:
            delegated = await _find_earlier(ctx, start, tag, task)
        if delegated is None:
            ctx.policy.acu_limit(max_acu_limit)
            ctx.session_limit.check(ctx.key.fingerprint)
            playbook_id = None if playbook is None else await resolve_playbook(ctx, playbook)
            knowledge_ids = None if knowledge is None else await resolve_notes(ctx, knowledge)
            async with prompt_with_files(ctx, task, files or ()) as full_prompt:
                request = SessionRequest(
                    prompt=full_prompt,
                    title=title,
                    tags=[*(tags or ()), tag],
                    playbook_id=playbook_id,
                    knowledge_ids=knowledge_ids,
                    max_acu_limit=max_acu_limit,
                    structured_output_schema=structured_output_schema,
                )
                start.start_attempt(_digest(task))
                delegated = await _start(ctx, start, tag, request)
    add_call_facts(devin_session_id=delegated.session_id)
    if max_wait_s:
        return await wait_after(ctx, delegated, None, max_wait_s)
    return with_updates(delegated, None)


async def _start(
    ctx: Context, start: IdempotentStart, tag: str, request: SessionRequest
) -> Delegated:
    """Start the session; if the reply is lost, find it by its tag. Raises ReplyLost."""
    starting = ctx.reserving(SEARCH_SECONDS)
    if starting.deadline.seconds_left() < MIN_START_SECONDS:
        raise NotSent(
            "Preparing took so long that the session could not be started in the time a call has."
        )
    try:
        created = await start_session(starting, create_session, request, start.on_sent)
    except ReplyLost as lost:
        return await _find_after_lost_reply(ctx, start, tag, lost)
    return _delegated(created, tag)


def _delegated(created: SessionCreated, tag: str) -> Delegated:
    return Delegated(
        session_id=created.session_id,
        phase=created.phase,
        url=created.url,
        is_new_session=True,
        max_acu_limit=created.max_acu_limit,
        tag=tag,
        next=created.next,
    )


async def _find_earlier(
    ctx: Context, start: IdempotentStart, tag: str, task: str
) -> Delegated | None:
    """The session started for the same idempotency_key, by this process or another."""
    session_id, others = start.session_id, 0
    if session_id is None:
        rows = await sessions_with_tag(ctx, tag)
        if not rows and start.in_doubt and (late := await _search(ctx, start, tag)):
            rows = [late]
        if not rows:
            return None
        session_id, others = rows[-1].session_id, len(rows) - 1
    remark = "Started before for the same idempotency_key"
    try:
        session = await read_session(ctx, session_id)
    except (Broken, NotSent, SlowDown) as error:  # it exists, and that is what matters
        return Delegated(
            session_id=session_id,
            phase="starting",
            url=ctx.web_url(session_id),
            is_new_session=False,
            tag=tag,
            remark=f"{remark}; how it stands could not be read now. {error.message}",
            next="Look at it with devin_get_session.",
        )
    same_task = _has_same_task(session, start, task)
    if same_task is False:
        raise Invalid(
            f"This idempotency_key belongs to session {session_id}, which was started with another "
            "prompt.",
            "Nothing was started. Look at it with devin_get_session, or take another "
            "idempotency_key.",
        )
    remark += "."
    if same_task is None:
        remark += " Whether with the same prompt cannot be read while Devin works."
    if others:
        remark += f" So were {others} more: see them with the tag."
    return Delegated(
        session_id=session_id,
        phase=session.phase,
        url=session.url,
        is_new_session=False,
        tag=tag,
        remark=remark,
        next=next_step(session),
    )


def _has_same_task(session: Session, start: IdempotentStart, task: str) -> bool | None:
    """Whether the session was started with this task; None if that is unknown here."""
    if start.session_id == session.session_id:
        return start.prompt_digest == _digest(task)
    prompt = next((message.message for message in session.messages if message.is_task), None)
    if prompt:
        return _digest(prompt) == _digest(task)
    return start.prompt_digest == _digest(task) if start.prompt_digest else None


def _digest(prompt: str) -> bytes:
    """SHA-256 of the words. Attachment lines are skipped: a second upload has another URL."""
    lines = [line for line in prompt.splitlines() if not line.startswith("ATTACHMENT:")]
    words = [word for line in lines for word in line.split()]
    return sha256(repr(words).encode(errors="replace")).digest()


async def _find_after_lost_reply(
    ctx: Context, start: IdempotentStart, tag: str, lost: ReplyLost
) -> Delegated:
    row = await _search(ctx, start, tag)
    if row is None:
        raise ReplyLost(
            f"{lost.message} No session with the tag {tag} could be found yet.",
            "One may still appear and cost ACUs. Look with devin_list_sessions, "
            f"tags=[{tag}], before handing it over again.",
            status=lost.status,
        )
    return Delegated(
        session_id=row.session_id,
        phase=row.phase,
        url=ctx.web_url(row.session_id),
        is_new_session=True,
        tag=tag,
        remark="Devin's reply was lost; this is the session it started, found by its tag.",
        next="Devin is starting. Wait for it with devin_wait_for_sessions.",
    )


async def _search(ctx: Context, start: IdempotentStart, tag: str) -> SessionSummary | None:
    """Look a few times for a session that may have been started; a late reply ends the search."""
    if ctx.report is not None:
        await ctx.report("The reply was lost; looking whether the session was started")
    for delay in SEARCH_DELAYS_SECONDS:
        await ctx.client.clock.sleep(min(delay, ctx.deadline.seconds_left()))
        if start.session_id is not None:
            return SessionSummary(session_id=start.session_id, phase="starting")
        with suppress(DevinError):
            if rows := await sessions_with_tag(ctx, tag):
                return rows[-1]
    return None
