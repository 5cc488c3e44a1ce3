"""A session whose status, messages and visible messages a test sets step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.upstream import Exchange, Upstream, answer

BASE = {
    "status": "running",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}


@dataclass
class FakeSession:
    """One session. `visible_count` is the number of messages that GET returns; None for all."""

    session_id: str = "devin-1"
    status_enum: str = "working"
    visible_count: int | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)

    def devin_says(self, text: str, **more: Any) -> None:
        self._say("devin_message", text, more)

    def user_says(self, text: str, **more: Any) -> None:
        self._say("user_message", text, more)

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
        """Answer GET with the session; POST adds the user's message and sets it to working."""
        if exchange.request.method == "POST":
            self.user_says(exchange.request.json["message"])
            self.status_enum = "working"
            await answer(200, None)(exchange)
            return
        visible = (
            self.messages if self.visible_count is None else self.messages[: self.visible_count]
        )
        body = {
            **BASE,
            "session_id": self.session_id,
            "status_enum": self.status_enum,
            "messages": visible,
            **self.fields,
        }
        await answer(200, body)(exchange)

    def at(self, upstream: Upstream, times: int = 500) -> FakeSession:
        upstream.fail("GET", f"/v1/sessions/{self.session_id}", *[self] * times)
        upstream.fail("POST", f"/v1/sessions/{self.session_id}/message", *[self] * times)
        return self
