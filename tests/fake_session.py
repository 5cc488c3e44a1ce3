"""A session that a test moves by hand: what is said, what can be read of it, and how Devin calls its state."""

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
    """One session. `readable` limits how many of the messages can be read; None is all."""

    session_id: str = "devin-1"
    status_enum: str = "working"
    readable: int | None = None
    said: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    def devin_says(self, text: str, **more: Any) -> None:
        self._say("devin_message", text, more)

    def user_says(self, text: str, **more: Any) -> None:
        self._say("user_message", text, more)

    def _say(self, kind: str, text: str, more: dict[str, Any]) -> None:
        self.said.append(
            {
                "type": kind,
                "event_id": f"{self.session_id}-e{len(self.said)}",
                "message": text,
                **more,
            }
        )

    async def __call__(self, exchange: Exchange) -> None:
        """The session as GET answers it; a message sent to it is the user's, and Devin works on."""
        if exchange.seen.method == "POST":
            self.user_says(exchange.seen.json["message"])
            self.status_enum = "working"
            await answer(200, None)(exchange)
            return
        shown = self.said if self.readable is None else self.said[: self.readable]
        body = {
            **BASE,
            "session_id": self.session_id,
            "status_enum": self.status_enum,
            "messages": shown,
            **self.more,
        }
        await answer(200, body)(exchange)

    def at(self, upstream: Upstream, times: int = 500) -> FakeSession:
        upstream.fail("GET", f"/v1/sessions/{self.session_id}", *[self] * times)
        upstream.fail("POST", f"/v1/sessions/{self.session_id}/message", *[self] * times)
        return self
