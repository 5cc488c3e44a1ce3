"""Reads all sessions that are polled with one key by one list request a round (v3.md §4)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BeforeValidator

from devin_mcp.api.endpoint import Lookup
from devin_mcp.api.models import ApiModel
from devin_mcp.errors import DevinError, Invalid
from devin_mcp.keys import DevinKey
from devin_mcp.observability.log import current_call
from devin_mcp.operations.context import Context
from devin_mcp.operations.parameters import bare_id
from devin_mcp.operations.sessions.conversation import Message
from devin_mcp.operations.sessions.message_pages import read_messages
from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.sessions.tools import read_session_alone

SESSIONS_BY_ID = Lookup.declare(
    "sessions_by_id", v3="GET /sessions?first=200", permission="ViewOrgSessions"
)
MAX_BATCH = 16
"""Sessions in one request."""
JOIN_TICKS = 10
"""Event loop iterations in which pollers that were woken join the request."""
UNLISTED_SECONDS = 60.0
"""Time in which a session that the list did not show, such as an archived one, is only read by
itself."""
MAX_UNLISTED = 10_000
MAX_TENANTS = 1000
"""Tenants whose form of ids is remembered; the least recently used is forgotten first."""

NewContext = Callable[[DevinKey], Context]
JoinRound = Callable[[str, int], int]
"""Wakes at most so many sleeping pollers of a tenant. Returns how many."""


def _with_id(rows: object) -> object:
    """Without rows that cannot be told from each other: they hide no other session."""
    if not isinstance(rows, list):
        return rows
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("session_id"), str)]


class SessionRows(ApiModel):
    """The sessions of one request."""

    items: Annotated[list[Session], BeforeValidator(_with_id)]


@dataclass
class _Batch:
    """Reads that are sent together: bare session id -> who waits for it."""

    reads: dict[str, asyncio.Future[Session]] = field(default_factory=dict)

    def resolve(self, session_id: str, outcome: Session | Exception) -> None:
        future = self.reads[session_id]
        if future.done():  # the poller was cancelled, or has its session already
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


class SessionBatches:
    """Collects the reads of pollers that are due, and wakes the other pollers of the key to join:
    one request costs the same for one session and for sixteen.
    """

    def __init__(self, new_context: NewContext, join_round: JoinRound) -> None:
        self._new_context = new_context
        self._join_round = join_round
        self._batches: dict[str, _Batch] = {}
        """Tenant -> the batch that is being collected."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._takes_prefix: OrderedDict[str, bool] = OrderedDict()
        """Tenant -> whether `session_ids` takes ids with their prefix; it is not documented."""
        self._unlisted: OrderedDict[tuple[str, str], float] = OrderedDict()
        """Tenant and bare id of a session that the list did not show -> when to ask the list for
        it again."""

    async def read(self, key: DevinKey, session_id: str) -> Session:
        """The session without its messages. Raises one of errors.py."""
        batch = self._batches.get(key.tenant)
        if batch is None:
            batch = self._batches[key.tenant] = _Batch()
            task = asyncio.ensure_future(self._send(key, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (call := current_call.get()) is not None:
            call.attempts += 1  # a request of another call is sent for this one, too
        future = asyncio.get_running_loop().create_future()
        batch.reads[bare_id(session_id)] = future
        session: Session = await future
        return session

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _send(self, key: DevinKey, batch: _Batch) -> None:
        expected = len(batch.reads)
        expected += self._join_round(key.tenant, MAX_BATCH - expected)
        for _ in range(JOIN_TICKS):
            if len(batch.reads) >= expected:
                break
            await asyncio.sleep(0)
        del self._batches[key.tenant]
        ids = list(batch.reads)
        parts = [ids[start : start + MAX_BATCH] for start in range(0, len(ids), MAX_BATCH)]
        await asyncio.gather(*(self._send_part(key, batch, part) for part in parts))

    async def _send_part(self, key: DevinKey, batch: _Batch, ids: Sequence[str]) -> None:
        try:
            await self._read_many(self._new_context(key), batch, ids)
        except Exception as error:  # noqa: BLE001 - each poller raises it
            for session_id in ids:
                batch.resolve(session_id, error)

    async def _read_many(self, ctx: Context, batch: _Batch, ids: Sequence[str]) -> None:
        """Resolve each id as soon as it is known. What the list does not show is read by itself,
        and delays none of the others.
        """
        now = ctx.client.clock.now()
        listed = [item for item in ids if self._unlisted.get((ctx.key.tenant, item), 0.0) <= now]
        found: set[str] = set()
        remembered = self._takes_prefix.get(ctx.key.tenant)
        for prefixed in (False, True) if remembered is None else (remembered,):
            missing = [session_id for session_id in listed if session_id not in found]
            if not missing:
                break
            names = [f"devin-{session_id}" if prefixed else session_id for session_id in missing]
            try:
                page = await ctx.send(SESSIONS_BY_ID, SessionRows, query={"session_ids": names})
            except Invalid:
                continue  # it does not take this form
            except DevinError as error:
                if error.status != 405:
                    raise
                break  # a deployment without the list: each is read by itself
            for session in page.items:
                if (session_id := bare_id(session.session_id)) in missing:
                    session.url = session.url or ctx.web_url(session.session_id)
                    found.add(session_id)
                    batch.resolve(session_id, session)
                    self._remember(ctx.key.tenant, takes_prefix=prefixed)
        missing = [session_id for session_id in ids if session_id not in found]
        for session_id in set(missing) & set(listed):
            self._remember_unlisted(ctx.key.tenant, session_id, now + UNLISTED_SECONDS)
        await asyncio.gather(*(_read_one(ctx, batch, session_id) for session_id in missing))

    def _remember_unlisted(self, tenant: str, session_id: str, until: float) -> None:
        self._unlisted[tenant, session_id] = until
        self._unlisted.move_to_end((tenant, session_id))
        if len(self._unlisted) > MAX_UNLISTED:
            self._unlisted.popitem(last=False)

    def _remember(self, tenant: str, *, takes_prefix: bool) -> None:
        self._takes_prefix[tenant] = takes_prefix
        self._takes_prefix.move_to_end(tenant)
        if len(self._takes_prefix) > MAX_TENANTS:
            self._takes_prefix.popitem(last=False)


async def _read_one(ctx: Context, batch: _Batch, session_id: str) -> None:
    try:
        session = await read_session_alone(ctx, f"devin-{session_id}")
    except DevinError as error:
        batch.resolve(session_id, error)
    else:
        batch.resolve(session_id, session)


async def messages_if_moved(
    ctx: Context, session: Session, previous: Session | None
) -> list[Message]:
    """The conversation; the messages of `previous` if the session is as it was then.

    Raises one of errors.py.
    """
    if previous is not None and _facts(session) == _facts(previous):
        return previous.messages
    return await read_messages(ctx, session.session_id)


def _facts(session: Session) -> object:
    return session.model_copy(update={"messages": []})
