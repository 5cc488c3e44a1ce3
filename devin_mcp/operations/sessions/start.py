"""Starting a session: the one request that creates and spends, and its checks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from devin_mcp.api.endpoint import HasEndpoints
from devin_mcp.api.models import ApiModel
from devin_mcp.api.pending_writes import OnSent
from devin_mcp.observability.log import event
from devin_mcp.operations.attachments import check_url
from devin_mcp.operations.capabilities import V1, Requires
from devin_mcp.operations.context import Context
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.parameters import Id, prefixed_id
from devin_mcp.operations.results import Next, Result
from devin_mcp.operations.secrets import SessionSecret
from devin_mcp.operations.sessions.model import PhaseText


class SessionCreated(Result):
    """Accepted is not yet running (v1.md §8)."""

    session_id: str
    phase: PhaseText
    url: str | None = None
    is_new_session: Annotated[bool | None, Requires(V1)] = None
    max_acu_limit: int | None = Field(None, description="Spending cap in force")
    next: Next


class SessionReply(ApiModel):
    """Devin's answer to the start of a session."""

    session_id: Annotated[Id, BeforeValidator(prefixed_id)]
    url: str | None = None
    is_new_session: bool | None = None


Mode = Literal["normal", "fast", "lite", "ultra", "fusion"]


@dataclass(frozen=True)
class SessionRequest:
    """What a session is started with (v1.md §3.1, v3.md §5.1). Defaults are not sent."""

    prompt: str
    title: str | None = None
    tags: list[str] | None = None
    playbook_id: str | None = None
    knowledge_ids: list[str] | None = None
    secret_ids: list[str] | None = None
    session_secrets: list[SessionSecret] | None = None
    snapshot_id: str | None = None
    max_acu_limit: int | None = None
    idempotent: bool = False
    unlisted: bool = False
    repositories: list[str] | None = None
    attachment_urls: list[str] | None = None
    mode: Mode | None = None
    resumable: bool = True
    structured_output_schema: OutputSchema | None = None

    def body(self, ctx: Context) -> dict[str, Any]:
        """The JSON body, with the operator's spending cap. Raises Invalid or CapReached."""
        fields: dict[str, Any] = {
            "prompt": self.prompt,
            "title": self.title,
            "tags": self.tags,
            "playbook_id": self.playbook_id,
            "knowledge_ids": self.knowledge_ids,
            "secret_ids": self.secret_ids,
            "snapshot_id": self.snapshot_id,
            "max_acu_limit": ctx.policy.acu_limit(self.max_acu_limit),
            "idempotent": self.idempotent or None,
            "unlisted": self.unlisted or None,
            "repos": list(dict.fromkeys(self.repositories or ())) or None,
            "attachment_urls": self._checked_urls(),
            "devin_mode": self.mode,
            "resumable": None if self.resumable else False,
            "structured_output_schema": self.structured_output_schema,
        }
        if self.session_secrets is not None:
            fields["session_secrets"] = [secret.body(ctx.policy) for secret in self.session_secrets]
        return {name: value for name, value in fields.items() if value is not None}

    def _checked_urls(self) -> list[str] | None:
        """Raises Invalid for what is no web address."""
        urls = self.attachment_urls or ()
        return [
            check_url(url, f"attachment_urls[{index}]") for index, url in enumerate(urls)
        ] or None


async def start_session(
    ctx: Context,
    operation: HasEndpoints,
    request: SessionRequest,
    on_sent: OnSent | None = None,
) -> SessionCreated:
    """Start a session, which spends ACUs. It is never sent twice unless Devin provably did nothing.

    `operation` is create_session. `on_sent` receives the task of the request, which may outlive the
    call. Raises CapReached at the operator's limits, ReplyLost if the outcome is unknown.
    """
    await validate_output_schema(request.structured_output_schema)
    body = request.body(ctx)
    async with ctx.session_limit.reserve(ctx.key.fingerprint) as reservation:

        def follow(task: asyncio.Task[Any]) -> None:
            reservation.request = task
            task.add_done_callback(_log_start)
            if on_sent is not None:
                on_sent(task)

        reply = await ctx.send(
            operation,
            SessionReply,
            body=body,
            private=request.session_secrets is not None,
            on_sent=follow,
        )
        if reply.is_new_session is False:
            await reservation.undo()
    if reply.is_new_session is False:
        text = (
            "This is an earlier session with the same prompt, maybe an ended one. Look with "
            "devin_get_session."
        )
    else:
        text = (
            "Devin is starting. Wait for it with devin_wait_for_sessions; it asks when it needs "
            "something."
        )
    return SessionCreated(
        session_id=reply.session_id,
        phase="starting",
        url=reply.url or ctx.web_url(reply.session_id),
        is_new_session=reply.is_new_session,
        max_acu_limit=body.get("max_acu_limit"),
        next=text,
    )


def log_started_session(session_id: str) -> None:
    """Log that this call started a session. Metrics count these lines."""
    event("session_started", devin_session_id=session_id)


def _log_start(task: asyncio.Task[SessionReply]) -> None:
    """Log what the request has started, also if its caller has gone."""
    if task.cancelled() or task.exception() is not None:
        return
    reply = task.result()
    if reply.is_new_session is not False:
        log_started_session(reply.session_id)
