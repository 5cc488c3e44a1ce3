"""Starting the session of a delegation once: found if it was started before, found again if the
reply is lost, asked for differently if Devin refuses a field.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from devin_mcp.errors import (
    Invalid,
    NotSent,
    ReplyLost,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.result import Delegated
from devin_mcp.operations.delegation.search import Find, describe_earlier, oldest, search
from devin_mcp.operations.delegation.task import Task, prompt_with_repository
from devin_mcp.operations.idempotency import LISTING_LAG_SECONDS, IdempotentStart
from devin_mcp.operations.parameters import MAX_TEXT_CHARS
from devin_mcp.operations.sessions.lookup import (
    sessions_with_tag,
    sessions_with_title_mark,
)
from devin_mcp.operations.sessions.model import WORKING_PHASES
from devin_mcp.operations.sessions.start import SessionRequest, log_started_session, start_session
from devin_mcp.operations.sessions.tools import create_session

SEARCH_SECONDS = 12.0
"""Part of the call that is reserved for finding the session if the reply is lost."""
MIN_START_SECONDS = 2.0
"""A start is not begun with less time than this."""
CLOCK_DIFFERENCE_SECONDS = 300
"""Devin's clock may be this much behind."""
FIELD_REFUSED_STATUSES = frozenset({400, 422})
"""A refusal of a value. Any other one, such as a limit or a missing permission, is not worked
around."""
MAX_MARKED_TITLE_CHARS = 200
"""Of a title with a mark at its end. Devin's limit is not documented; a title that Devin shortens
loses the mark."""
MAX_TITLE_CHARS = 60
"""Of a title that is made from the prompt."""


@dataclass(frozen=True)
class Attempt:
    """A request for a session, and how to find the session again."""

    request: SessionRequest
    find: Find = sessions_with_tag
    remark: str = ""
    """What Devin refused before."""


async def start_once(
    ctx: Context, start: IdempotentStart, tag: str, task: Task, request: SessionRequest
) -> Delegated:
    """Start the session; if the reply is lost, find it. What Devin refuses is asked for in another
    way: a refused request started nothing. Raises ReplyLost if the outcome is unknown.
    """
    attempt = Attempt(request)
    while True:
        starting = ctx.reserving(SEARCH_SECONDS)
        if starting.deadline.seconds_left() < MIN_START_SECONDS:
            raise NotSent(
                "Preparing took so long that the session could not be started in the time a call "
                "has."
            )
        sent_at = int(time.time()) - CLOCK_DIFFERENCE_SECONDS
        if start.announce is not None:
            await start.announce()
        try:
            created = await start_session(starting, create_session, attempt.request, start.on_sent)
        except ReplyLost as lost:
            return await _find_after_lost_reply(ctx, start, tag, attempt, lost, sent_at)
        except Invalid as refusal:
            next_attempt = _without_refused_field(attempt, refusal, tag)
            if next_attempt is None:
                raise
            if next_attempt.find is not attempt.find and start.has_key:
                earlier = await next_attempt.find(ctx, tag, oldest())
                if earlier:
                    session_id = earlier[-1].session_id
                    return await describe_earlier(ctx, session_id, tag, start, task)
            start.marks_title = next_attempt.find is sessions_with_title_mark
            attempt = next_attempt
            continue
        return Delegated(
            session_id=created.session_id,
            phase=created.phase,
            url=created.url,
            is_new_session=True,
            max_acu_limit=created.max_acu_limit,
            tag=tag if attempt.find is sessions_with_tag else None,
            remark=attempt.remark or None,
            next=created.next,
        )


def _without_refused_field(attempt: Attempt, refusal: Invalid, tag: str) -> Attempt | None:
    """The attempt without what Devin refused; None if that was something else."""
    request = attempt.request
    if refusal.status not in FIELD_REFUSED_STATUSES:
        return None
    if "repos" in refusal.named_fields and request.repositories:
        prompt = prompt_with_repository(request.prompt, ", ".join(request.repositories))
        if len(prompt) > MAX_TEXT_CHARS:
            return None
        remark = "Devin did not accept the repository as such, so the prompt names it."
        return replace(
            attempt,
            request=replace(request, prompt=prompt, repositories=None),
            remark=f"{attempt.remark} {remark}".strip(),
        )
    if "tags" in refusal.named_fields and request.tags and tag in request.tags:
        title = request.title or " ".join(request.prompt.split())[:MAX_TITLE_CHARS]
        title = title[: MAX_MARKED_TITLE_CHARS - len(tag)]
        remark = f"Devin accepts only certain tags, so the title ends with {tag} instead."
        return replace(
            attempt,
            request=replace(
                request,
                title=f"{title} {tag}",
                tags=[other for other in request.tags if other != tag] or None,
            ),
            find=sessions_with_title_mark,
            remark=f"{attempt.remark} {remark}".strip(),
        )
    return None


async def _find_after_lost_reply(
    ctx: Context,
    start: IdempotentStart,
    tag: str,
    attempt: Attempt,
    lost: ReplyLost,
    created_after: int,
) -> Delegated:
    row = await search(ctx, start, tag, attempt.find, created_after)
    has_tag = attempt.find is sessions_with_tag
    if row is None:
        where = f"with the tag {tag}" if has_tag else f"whose title ends with {tag}"
        how = f", tags=[{tag}]," if has_tag else " for that title"
        next_call = f"Look with devin_list_sessions{how} before handing it over again."
        if start.has_key:
            next_call = "Then call again with the same idempotency_key: that finds it."
        raise ReplyLost(
            f"{lost.message} No session {where} could be found yet.",
            f"One may still appear and cost ACUs: Devin's list may lag {LISTING_LAG_SECONDS:.0f} "
            f"seconds behind. {next_call}",
            status=lost.status,
        )
    if start.request is None and start.session_id is None:  # no reply has logged it, or will
        log_started_session(row.session_id)
    found = "tag" if has_tag else "title"
    remark = f"Devin's reply was lost; this is the session it started, found by its {found}."
    return Delegated(
        session_id=row.session_id,
        phase=row.phase,
        url=row.url or ctx.web_url(row.session_id),
        is_new_session=True,
        tag=tag if has_tag else None,
        remark=f"{attempt.remark} {remark}".strip(),
        next="Devin has begun. Wait for it with devin_wait_for_sessions."
        if row.phase in WORKING_PHASES
        else "Look at it with devin_get_session.",
    )
