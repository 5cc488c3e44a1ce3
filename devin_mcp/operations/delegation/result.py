"""The result of devin_delegate_task."""

from __future__ import annotations

from pydantic import Field

from devin_mcp.operations.sessions.model import PhaseText
from devin_mcp.operations.waiting.result import WithUpdates


class Delegated(WithUpdates):
    """The session that works on the task."""

    phase: PhaseText
    url: str | None = None
    is_new_session: bool
    max_acu_limit: int | None = None
    tag: str | None = Field(None, description="Of this session alone")
    remark: str | None = Field(None, description="How it came about")
