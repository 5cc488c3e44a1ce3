"""Sessions whose status and messages a test sets step by step, in the shape of either API."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from devin_mcp.operations.parameters import bare_id
from tests.upstream import Exchange, Fault, Upstream, answer

BASE = {
    "status": "running",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}
V3_CREATED_AT = 1_767_225_600
V3_STATUS: dict[str, tuple[str, str | None]] = {
    "working": ("running", "working"),
    "resume_requested": ("resuming", None),
    "blocked": ("running", "waiting_for_user"),
    "finished": ("running", "finished"),
    "expired": ("exit", None),
}
"""`status_enum` -> what v3 says in its place (v3.md §5.3)."""

SESSIONS = "(?:/v1|/v3/organizations/[^/]+)/sessions"
"""The path that creates and lists sessions."""
SESSION = f"{SESSIONS}/[^/]+"
MESSAGE = f"{SESSIONS}/[^/]+/messages?"
"""The path that a message is sent to."""
V3_LIST = "/v3/organizations/[^/]+/sessions"
POLL = f"/v1/sessions/[^/]+|{V3_LIST}"
"""What a poller requests: on v1 its session, on v3 the list, by id."""
EMPTY_PAGE: dict[str, Any] = {"items": [], "end_cursor": None, "has_next_page": False}


def path_of(session_id: str) -> str:
    """The path of one session."""
    return f"{SESSIONS}/{re.escape(session_id)}"


def is_v3(exchange: Exchange) -> bool:
    return exchange.request.path.startswith("/v3")


@dataclass
class FakeSession:
    """One session. `visible_count` is the number of messages that can be read; None for all."""

    session_id: str = "devin-1"
    status_enum: str = "working"
    visible_count: int | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    """As v1 returns them."""
    fields: dict[str, Any] = field(default_factory=dict)
    """Further fields, as v1 returns them."""
    _steps: deque[dict[str, Any]] = field(default_factory=deque)
    _served: str = ""
    _revision: int = 0

    def devin_says(self, text: str, **more: Any) -> None:
        self._say("devin_message", text, more)

    def user_says(self, text: str, **more: Any) -> None:
        self._say("user_message", text, more)

    def then(self, *steps: dict[str, Any]) -> FakeSession:
        """Set these attributes before the first read of the session, before the second, and so on.
        After the last step it stays as it is.
        """
        self._steps.extend(steps)
        return self

    def _say(self, kind: str, text: str, more: dict[str, Any]) -> None:
        self.messages.append(
            {
                "type": kind,
                "event_id": f"{self.session_id}-e{len(self.messages)}",
                "message": text,
                **more,
            }
        )

    async def __call__(self, exchange: Exchange) -> None:
        """GET returns the session; POST adds the user's message and sets it to working; PUT sets
        the tags.
        """
        request, v3 = exchange.request, is_v3(exchange)
        reply: Any
        if request.method == "POST":
            self.user_says(request.json["message"])
            self.status_enum = "working"
            reply = self.v3_row() if v3 else None
        elif request.method == "PUT":
            self.fields["tags"] = request.json["tags"]
            reply = {"tags": request.json["tags"]} if v3 else None
        elif request.path.endswith("/messages"):
            reply = EMPTY_PAGE | {"items": [_v3_message(row) for row in self._visible()]}
        else:
            reply = self.read(v3=v3)
        await answer(200, reply)(exchange)

    def read(self, *, v3: bool) -> dict[str, Any]:
        """The session as a read returns it, after the next step."""
        for name, value in (self._steps.popleft() if self._steps else {}).items():
            setattr(self, name, value)
        return self.v3_row() if v3 else self.v1_row()

    def _visible(self) -> list[dict[str, Any]]:
        return self.messages if self.visible_count is None else self.messages[: self.visible_count]

    def v1_row(self) -> dict[str, Any]:
        return {
            **BASE,
            "session_id": self.session_id,
            "status_enum": self.status_enum,
            "messages": self._visible(),
            **self.fields,
        }

    def v3_row(self) -> dict[str, Any]:
        """`updated_at` moves with every change; the id has no prefix (v3.md §5.4)."""
        state = repr((self.status_enum, self._visible(), self.fields))
        if state != self._served:
            self._served, self._revision = state, self._revision + 1
        status, detail = V3_STATUS[self.status_enum]
        has_hex_id = re.fullmatch("devin-[0-9a-f]{32}", self.session_id)
        fields = dict(self.fields)
        pull_request = fields.pop("pull_request", None)
        return {
            "session_id": bare_id(self.session_id) if has_hex_id else self.session_id,
            "url": f"https://sandbox.invalid/sessions/{bare_id(self.session_id)}",
            "org_id": "org-sandbox",
            "status": status,
            "status_detail": detail,
            "tags": [],
            "created_at": V3_CREATED_AT,
            "updated_at": V3_CREATED_AT + self._revision,
            "acus_consumed": 0.0,
            "pull_requests": [{"pr_url": pull_request["url"], "pr_state": "open"}]
            if pull_request
            else [],
            "is_archived": False,
            **fields,
        }

    def at(self, upstream: Upstream, times: int = 500) -> FakeSession:
        """Serve it at its path; on v3 also in the list of sessions by their ids."""
        for path in (path_of(self.session_id), f"{path_of(self.session_id)}/messages?"):
            for method in ("GET", "POST"):
                upstream.fail(method, path, *[self] * times)
        upstream.fail("PUT", f"{path_of(self.session_id)}/tags", *[self] * times)
        if not upstream.fake_sessions:
            upstream.fail("GET", V3_LIST, *[_list_by_id(upstream)] * 5000)
        upstream.fake_sessions[self.session_id] = self
        return self


def _list_by_id(upstream: Upstream) -> Fault:
    """v3: the fakes among the sessions that were asked for, besides those of the sandbox."""

    async def fault(exchange: Exchange) -> None:
        response = await exchange.forward(exchange.request)
        body = response.json()
        if is_v3(exchange) and response.is_success:
            names = parse_qs(exchange.request.query).get("session_ids", [])
            ids = {bare_id(name) for name in names}
            body["items"] += [
                session.read(v3=True)
                for name, session in upstream.fake_sessions.items()
                if bare_id(name) in ids or not names
            ]
        await answer(response.status_code, body)(exchange)

    return fault


def _v3_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message of v1 as v3 returns it (v3.md §5.5)."""
    row: dict[str, Any] = {
        name: message[name] for name in ("event_id", "message") if name in message
    }
    row["source"] = "devin" if message["type"] == "devin_message" else "user"
    if "timestamp" in message:
        row["created_at"] = _seconds(message["timestamp"])
    return row


def _seconds(time: str) -> object:
    try:
        return int(datetime.fromisoformat(time).timestamp())
    except ValueError:
        return time


def listed(*sessions: FakeSession) -> Fault:
    """Answer a list request with these sessions and no further page."""

    async def fault(exchange: Exchange) -> None:
        if is_v3(exchange):
            rows = [session.v3_row() for session in sessions]
            await answer(200, EMPTY_PAGE | {"items": rows})(exchange)
        else:
            await answer(200, {"sessions": [item.v1_row() for item in sessions]})(exchange)

    return fault


def pages_of(*sessions: FakeSession) -> Fault:
    """The page of these sessions that the request asks for: by offset on v1, by cursor on v3."""

    async def fault(exchange: Exchange) -> None:
        query = {name: values[0] for name, values in parse_qs(exchange.request.query).items()}
        if not is_v3(exchange):
            start, size = int(query["offset"]), int(query["limit"])
            await listed(*sessions[start : start + size])(exchange)
            return
        start = int(query.get("after", "row 0").removeprefix("row "))
        end = start + int(query["first"])
        has_more = end < len(sessions)
        page = {
            "items": [session.v3_row() for session in sessions[start:end]],
            "end_cursor": f"row {end}" if has_more else None,
            "has_next_page": has_more,
        }
        await answer(200, page)(exchange)

    return fault


def polled_ids(upstream: Upstream) -> set[str]:
    """The ids of the sessions that were polled."""
    ids = set()
    for request in upstream.requests:
        if request.method == "GET" and re.fullmatch(POLL, request.path):
            ids |= set(parse_qs(request.query).get("session_ids", [request.path.split("/")[-1]]))
    return {f"devin-{bare_id(session_id)}" for session_id in ids}


def lose_sight(upstream: Upstream, count: int) -> None:
    """For the next `count` polls the sessions do not exist: v3's list shows none of them."""
    upstream.fail("GET", SESSION, *[answer(404)] * count)
    upstream.fail("GET", V3_LIST, *[answer(200, EMPTY_PAGE)] * 2 * count)
