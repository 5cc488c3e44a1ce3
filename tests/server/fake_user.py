"""The user at a client that supports elicitation."""

from __future__ import annotations

from typing import Any

from mcp.types import ElicitRequestFormParams, ElicitResult


class FakeUser:
    """The user at the client: answers every question alike and remembers the questions."""

    def __init__(self, action: Any = "accept", content: Any = None) -> None:
        self.reply = ElicitResult(action=action, content=content)
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: Any) -> ElicitResult:
        assert isinstance(params, ElicitRequestFormParams)
        assert params.requested_schema == {"type": "object", "properties": {}}
        self.questions.append(params.message)
        return self.reply
