"""Schedules as Devin returns and takes them, and as tools show them (v3.md §10)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from devin_mcp.api.models import ApiModel, ListOrNull, ShortText, Time
from devin_mcp.operations.parameters import prefixed_id
from devin_mcp.operations.schedules.run_times import in_words, is_ahead, next_runs

SNIPPET_CHARS = 200


class UsedPlaybook(ApiModel):
    playbook_id: str
    title: ShortText | None = None


class Schedule(ApiModel):
    """A schedule as Devin returns it. Its times are ISO text, unlike other times of v3."""

    schedule_id: str = Field(validation_alias="scheduled_session_id")
    name: ShortText
    prompt: str = ""
    enabled: bool = True
    schedule_type: ShortText = "recurring"
    frequency: ShortText | None = None
    interval_count: int | None = None
    scheduled_at: Time | None = None
    playbook: UsedPlaybook | None = None
    tags: ListOrNull[str] = []
    notify_on: ShortText | None = None
    target_devin_id: Annotated[str | None, BeforeValidator(prefixed_id)] = None
    last_executed_at: Time | None = None
    last_error_at: Time | None = None
    last_error_message: ShortText | None = None
    consecutive_failures: int = 0

    @property
    def cron(self) -> str | None:
        """None for a single run: Devin still returns the cron of a schedule that once recurred
        (v3-additions.md §10).
        """
        return self.frequency or None if self.schedule_type == "recurring" else None

    @property
    def runs(self) -> str:
        """When it runs, in words. A cron expression that is not understood stays as it is."""
        if self.cron is None:
            return f"once at {self.scheduled_at}" if self.scheduled_at else "at no time"
        words = in_words(self.cron) or f"{self.cron} (UTC)"
        return f"{words}, once in {self.interval_count} times" if self._skips_times else words

    @property
    def next_runs(self) -> list[str]:
        """The next runs that are known; empty while it is off."""
        if not self.enabled or self._skips_times:
            return []
        if self.cron is not None:
            return next_runs(self.cron)
        return [self.scheduled_at] if self.scheduled_at and is_ahead(self.scheduled_at) else []

    @property
    def _skips_times(self) -> bool:
        """Which times it skips is not documented (v3.md §10)."""
        return self.cron is not None and (self.interval_count or 1) > 1


class ScheduleView(ApiModel):
    """A schedule in a list."""

    schedule_id: str
    name: str
    enabled: bool
    runs: str = Field(description="When, in words")
    next_runs: list[str] | None = None
    frequency: str | None = Field(None, description="Cron, UTC")
    prompt: str
    prompt_length: int | None = Field(None, description="Of the whole, when cut")
    playbook: UsedPlaybook | None = None
    session_id: str | None = Field(None, description="The session that gets the prompt")
    tags: list[str] | None = None
    notify_on: str | None = None
    last_executed_at: str | None = None
    last_error_at: str | None = None
    last_error_message: str | None = None
    consecutive_failures: int | None = None

    @classmethod
    def of(cls, schedule: Schedule, start: int = 0, room: int = SNIPPET_CHARS) -> ScheduleView:
        """With `room` characters of its prompt from `start` on."""
        part = schedule.prompt[start : start + max(0, room)]
        is_cut = len(part) < len(schedule.prompt)
        has_failed = schedule.consecutive_failures > 0
        return cls(
            schedule_id=schedule.schedule_id,
            name=schedule.name,
            enabled=schedule.enabled,
            runs=schedule.runs,
            next_runs=schedule.next_runs or None,
            frequency=schedule.cron,
            prompt=part,
            prompt_length=len(schedule.prompt) if is_cut else None,
            playbook=schedule.playbook,
            session_id=schedule.target_devin_id,
            tags=schedule.tags or None,
            notify_on=schedule.notify_on,
            last_executed_at=schedule.last_executed_at,
            last_error_at=schedule.last_error_at if has_failed else None,
            last_error_message=schedule.last_error_message if has_failed else None,
            consecutive_failures=schedule.consecutive_failures or None,
        )


class ScheduleWrite(ApiModel):
    """What create and update send. A field that is not set stays as it is."""

    name: str | None = None
    prompt: str | None = None
    schedule_type: Literal["recurring", "one_time"] | None = None
    frequency: str | None = None
    scheduled_at: str | None = None
    playbook_id: str | None = None
    tags: list[str] | None = None
    enabled: bool | None = None
