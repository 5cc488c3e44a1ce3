"""Delegating: one call that hands a task over with all it needs, never twice, and can wait for what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import Annotated

from pydantic import Field

from devin_mcp.api.client import ApiCall
from devin_mcp.errors import Broken, DevinError, Invalid, NotSent, ReplyLost, SlowDown
from devin_mcp.observability.log import add_call_facts
from devin_mcp.operations.attachments import Attachment, attached, check_attached
from devin_mcp.operations.catalog import CREATE, workflow
from devin_mcp.operations.context import House
from devin_mcp.operations.idempotency import PREFIX, IdempotentStart, tag_for
from devin_mcp.operations.knowledge.tools import resolve_notes
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.playbooks import resolve_playbook
from devin_mcp.operations.sessions.conversation import LONGEST, Text
from devin_mcp.operations.sessions.model import PhaseText, Session, SessionSummary, next_by_phase
from devin_mcp.operations.sessions.tools import (
    SessionCreated,
    Tag,
    create_session,
    get_session,
    tagged,
)
from devin_mcp.operations.waiting.pollers import Pollers
from devin_mcp.operations.waiting.result import WaitResult, WithUpdates
from devin_mcp.operations.waiting.tool import wait_after

FOR_LOOKING = 12.0
"""Seconds of the call that are kept for finding the session when the reply to its start is lost."""
LEAST_FOR_STARTING = 2.0
"""Seconds without which a start is not begun."""
PAUSES = (0.5, 1.0, 2.0, 3.0, 4.0)
"""Seconds before each look for a session that may have been started."""

Repository = Annotated[
    str,
    Field(
        max_length=300,
        pattern=r"^(https?://[\w.:-]+/)?[\w.~-]+(/[\w.~-]+)+/?$",
        description="owner/name",
    ),
]


class Delegated(WithUpdates):
    """A session at work on the task."""

    phase: PhaseText
    url: str | None = None
    is_new_session: bool
    max_acu_limit: int | None = None
    tag: str = Field(description="Of this session alone")
    remark: str | None = Field(None, description="How it came about")

    def with_news(self, answer: WaitResult) -> Delegated:
        made = super().with_news(answer)
        made.phase = answer.sessions[0].phase or made.phase
        return made


@workflow(CREATE, "sessions", spends=True)
async def delegate_task(
    devin: ApiCall,
    house: House,
    following: Pollers,
    prompt: Annotated[Text, Field(description="The task, complete in itself")],
    title: Annotated[
        str | None, Field(max_length=500, description="Made by Devin when absent")
    ] = None,
    repository: Repository | None = None,
    playbook: Annotated[
        str | None, Field(min_length=1, max_length=500, description="Id, !macro or exact title")
    ] = None,
    knowledge: Annotated[
        list[str] | None,
        Field(max_length=200, description="Ids or names of notes; absent = all, [] = none"),
    ] = None,
    files: Annotated[
        list[str] | None, Field(max_length=20, description="Local paths or attachment URLs")
    ] = None,
    tags: Annotated[
        list[Tag] | None, Field(max_length=49, description="Labels, at most 49")
    ] = None,
    max_acu_limit: Annotated[int | None, Field(gt=0, description="Spending cap in ACUs")] = None,
    structured_output_schema: Annotated[
        OutputSchema | None, Field(description="JSON Schema (draft 7) to fill")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="Safe to repeat: the same key starts no second session",
        ),
    ] = None,
    max_wait_s: Annotated[int, Field(ge=0, le=50, description="Seconds to wait for news")] = 0,
) -> Delegated:
    """The session that works on the task: id, link, phase. Hands Devin a whole job, which costs ACUs.

    Checks and uploads everything before starting. With max_wait_s it goes on as devin_wait_for_sessions does.
    """
    task = f"{prompt}\n\nRepository: {repository}" if repository else prompt
    validate_output_schema(structured_output_schema)
    if any(one.startswith(PREFIX) for one in tags or ()):
        raise Invalid(f"Tags that begin with {PREFIX} are this server's own.")
    tag = tag_for(idempotency_key)
    handover = (
        IdempotentStart() if idempotency_key is None else house.handovers.get(devin.owner, tag)
    )
    async with handover.turn(devin.deadline):
        done = None if idempotency_key is None else await _earlier(devin, handover, tag, task)
        if done is None:
            house.acu_limit(max_acu_limit)
            house.starts.check(devin.owner)
            playbook_id = (
                None if playbook is None else await resolve_playbook(devin, house, playbook)
            )
            knowledge_ids = (
                None if knowledge is None else await resolve_notes(devin, house, knowledge)
            )
            async with _with_files(devin, house, task, files or ()) as whole:
                handover.begins(_fingerprint(task))
                start = create_session(
                    _starting(devin, handover),
                    house,
                    prompt=whole,
                    title=title,
                    tags=[*(tags or ()), tag],
                    playbook_id=playbook_id,
                    knowledge_ids=knowledge_ids,
                    max_acu_limit=max_acu_limit,
                    structured_output_schema=structured_output_schema,
                )
                try:
                    done = _begun(await start, tag)
                except ReplyLost as lost:
                    done = await _found(devin, handover, tag, lost)
    add_call_facts(devin_session_id=done.session_id)
    return await wait_after(devin, following, done, None, max_wait_s) if max_wait_s else done


def _starting(devin: ApiCall, handover: IdempotentStart) -> ApiCall:
    starting = devin.earlier(FOR_LOOKING)
    if starting.deadline.left() < LEAST_FOR_STARTING:
        raise NotSent(
            "Preparing took so long that the session could not be started in the time a call has."
        )
    return replace(starting, began=handover.began)


def _begun(made: SessionCreated, tag: str) -> Delegated:
    return Delegated(
        session_id=made.session_id,
        phase=made.phase,
        url=made.url,
        is_new_session=True,
        max_acu_limit=made.max_acu_limit,
        tag=tag,
        next=made.next,
    )


@asynccontextmanager
async def _with_files(
    devin: ApiCall, house: House, task: str, files: Sequence[str]
) -> AsyncIterator[str]:
    """The prompt with the files' lines. All are checked before the first is sent, and none needs to be sent twice."""
    _check_length(task)
    check_attached(house, files)
    sent: list[Attachment] = []
    try:
        for count, file in enumerate(files, 1):
            if devin.tell is not None:
                await devin.tell(f"Handing over file {count} of {len(files)}")
            sent.append(await _attached(devin, house, file))
        whole = "\n".join([task, *([""] if sent else []), *(one.line for one in sent)])
        _check_length(whole)
        yield whole
    except DevinError as trouble:
        if sent:
            trouble.what += (
                f" Uploaded already, to be given as files: {', '.join(one.url for one in sent)}"
            )
        raise


async def _attached(devin: ApiCall, house: House, file: str) -> Attachment:
    try:
        return await attached(devin, house, file)
    except ReplyLost as lost:  # which speaks of a session everywhere else here
        raise Broken(
            f"A file could not be uploaded. {lost.what}", "No session was started. Call again."
        ) from None


def _check_length(prompt: str) -> None:
    if len(prompt) > LONGEST:
        raise Invalid(
            f"The prompt has {len(prompt)} characters with repository and files counted; Devin takes {LONGEST}.",
            "Nothing was started. Put the rest into a file and name it in files.",
        )


async def _earlier(
    devin: ApiCall, handover: IdempotentStart, tag: str, task: str
) -> Delegated | None:
    """The session that was started for the same idempotency_key, by this process or another."""
    session_id, others = handover.session_id, 0
    if session_id is None:
        rows = await tagged(devin, tag)
        if not rows and handover.in_doubt and (late := await _appearing(devin, handover, tag)):
            rows = [late]
        if not rows:
            return None
        session_id, others = rows[-1].session_id, len(rows) - 1
    try:
        body = await get_session.at(devin).send(Session, session_id=session_id)
    except (Broken, NotSent, SlowDown) as trouble:  # it exists, and that is what matters
        return Delegated(
            session_id=session_id,
            phase="starting",
            url=devin.web_url(session_id),
            is_new_session=False,
            tag=tag,
            remark=f"Started before for the same idempotency_key; how it stands could not be read now. {trouble.what}",
            next="Look at it with devin_get_session.",
        )
    same = _is_same(body, handover, task)
    if same is False:
        raise Invalid(
            f"This idempotency_key belongs to session {session_id}, which was started with another prompt.",
            "Nothing was started. Look at it with devin_get_session, or take another idempotency_key.",
        )
    remark = "Started before for the same idempotency_key."
    if same is None:
        remark += " Whether with the same prompt cannot be read while Devin works."
    if others:
        remark += f" So were {others} more: see them with the tag."
    return Delegated(
        session_id=session_id,
        phase=body.phase,
        url=devin.web_url(session_id),
        is_new_session=False,
        tag=tag,
        remark=remark,
        next=next_by_phase(body),
    )


def _is_same(body: Session, handover: IdempotentStart, task: str) -> bool | None:
    """Whether a session was started with this task; None when nobody here can tell."""
    if handover.session_id == body.session_id:
        return handover.prompt == _fingerprint(task)
    prompt = next(
        (one.message for one in body.messages if one.type == "initial_user_message"), None
    )
    if prompt:
        return _fingerprint(prompt) == _fingerprint(task)
    return handover.prompt == _fingerprint(task) if handover.prompt else None


def _fingerprint(prompt: str) -> bytes:
    """Of the words; a file that is uploaded again has another address."""
    words = [line.split() for line in prompt.splitlines() if not line.startswith("ATTACHMENT:")]
    return sha256(repr([word for line in words for word in line]).encode(errors="replace")).digest()


async def _found(devin: ApiCall, handover: IdempotentStart, tag: str, lost: ReplyLost) -> Delegated:
    """The session that was started though the reply was lost, or the ReplyLost with what to look for."""
    row = await _appearing(devin, handover, tag)
    if row is None:
        raise ReplyLost(
            f"{lost.what} No session with the tag {tag} could be found yet.",
            f"One may still appear and cost ACUs. Look with devin_list_sessions, tags=[{tag}], before handing it over again.",
            status=lost.status,
        )
    return Delegated(
        session_id=row.session_id,
        phase=row.phase,
        url=devin.web_url(row.session_id),
        is_new_session=True,
        tag=tag,
        remark="Devin's reply was lost; this is the session it started, found by its tag.",
        next="Devin is starting. Wait for it with devin_wait_for_sessions.",
    )


async def _appearing(devin: ApiCall, handover: IdempotentStart, tag: str) -> SessionSummary | None:
    """A session that may have been started, looked for a few times; a late reply ends the search."""
    if devin.tell is not None:
        await devin.tell("The reply was lost; looking whether the session was started")
    for pause in PAUSES:
        await devin.deadline.clock.sleep(min(pause, devin.deadline.left()))
        if handover.session_id is not None:
            return SessionSummary(session_id=handover.session_id, phase="starting")
        with suppress(DevinError):
            if rows := await tagged(devin, tag):
                return rows[-1]
    return None
