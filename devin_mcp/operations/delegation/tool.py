"""Delegation: one call that starts a session with all it needs, never twice, and can wait for the
outcome.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import Field

from devin_mcp.observability.log import add_call_facts
from devin_mcp.operations.catalog import CREATE, workflow
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.result import Delegated
from devin_mcp.operations.delegation.search import find_earlier
from devin_mcp.operations.delegation.start import start_once
from devin_mcp.operations.delegation.task import Task
from devin_mcp.operations.idempotency import IdempotentStart, tag_for
from devin_mcp.operations.knowledge.listing import resolve_notes
from devin_mcp.operations.output_schema import OutputSchema, validate_output_schema
from devin_mcp.operations.parameters import MAX_TAGS, MAX_WAIT_SECONDS, Repository, Tag, Text
from devin_mcp.operations.playbooks.tools import PlaybookName, resolve_playbook
from devin_mcp.operations.prompt_files import prompt_with_files
from devin_mcp.operations.repositories import resolve_repository
from devin_mcp.operations.results import Truncatable
from devin_mcp.operations.sessions.start import SessionRequest
from devin_mcp.operations.sessions.tools import create_session
from devin_mcp.operations.waiting.result import with_updates
from devin_mcp.operations.waiting.tool import wait_after
from devin_mcp.settings.toolsets import SESSIONS


@workflow(
    CREATE,
    SESSIONS,
    spends=True,
    is_core=True,
    search_hint="delegate a task to Devin, ask or let Devin do it, assign, outsource, start, "
    "run or kick off a coding job with an AI coding agent in the cloud: implement a feature, fix a "
    "bug or issue, write tests, migrate, refactor, open a pull request (PR)",
)
async def delegate_task(
    ctx: Context,
    prompt: Annotated[Text, Field(description="The task, complete in itself")],
    title: Annotated[str | None, Field(max_length=500, description="Else Devin makes one")] = None,
    repository: Repository | None = None,
    playbook: PlaybookName | None = None,
    knowledge: Annotated[
        list[str] | None,
        Field(max_length=200, description="Ids or names of notes; absent = all, [] = none"),
    ] = None,
    files: Annotated[
        list[str] | None, Field(max_length=20, description="Local paths or attachment URLs")
    ] = None,
    tags: Annotated[list[Tag] | None, Field(max_length=MAX_TAGS - 1, description="Labels")] = None,
    max_acu_limit: Annotated[int | None, Field(gt=0, description="Spending cap in ACUs")] = None,
    structured_output_schema: Annotated[
        OutputSchema | None, Field(description="JSON Schema (draft 7)")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Safe to repeat: the same key starts no second session",
        ),
    ] = None,
    max_wait_s: Annotated[
        int, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for updates")
    ] = 0,
) -> Truncatable[Delegated]:
    """Hand a coding task to Devin, an autonomous software engineer, which costs ACUs.

    This background agent implements, fixes, tests, refactors and opens a pull request. Checks and
    uploads everything before starting. Returns the session's id, link and phase; with max_wait_s it
    goes on as devin_wait_for_sessions does. Answer with devin_send_message.
    """
    await validate_output_schema(structured_output_schema)
    task = Task(prompt, repository)
    tag = tag_for(idempotency_key)
    async with _attempt(ctx, tag, has_key=idempotency_key is not None) as start:
        delegated = None
        if idempotency_key is not None:
            delegated = await find_earlier(ctx, start, tag, task)
        if delegated is None:
            ctx.policy.acu_limit(max_acu_limit)
            await ctx.session_limit.check(ctx.key.fingerprint)
            if repository is not None:
                repository = await resolve_repository(ctx, repository)
            playbook_id = None if playbook is None else await resolve_playbook(ctx, playbook)
            knowledge_ids = None if knowledge is None else await resolve_notes(ctx, knowledge)
            takes_repositories = create_session.takes("repositories", ctx.key.api)
            text = prompt if takes_repositories else task.text
            async with prompt_with_files(ctx, text, files or ()) as full_prompt:
                request = SessionRequest(
                    prompt=full_prompt.text,
                    title=title,
                    tags=[*(tags or ()), tag],
                    playbook_id=playbook_id,
                    knowledge_ids=knowledge_ids,
                    max_acu_limit=max_acu_limit,
                    repositories=[repository] if repository and takes_repositories else None,
                    attachment_urls=full_prompt.attachment_urls,
                    structured_output_schema=structured_output_schema,
                )
                start.start_attempt(task.digest)
                delegated = await start_once(ctx, start, tag, task, request)
    add_call_facts(devin_session_id=delegated.session_id)
    if max_wait_s:
        return await wait_after(ctx, delegated, "delegate", None, max_wait_s)
    return with_updates(delegated, None)


@asynccontextmanager
async def _attempt(ctx: Context, tag: str, *, has_key: bool) -> AsyncIterator[IdempotentStart]:
    """What is known of the delegation. Without an idempotency key there is nothing to know."""
    if not has_key:
        yield IdempotentStart(ctx.client.clock)
        return
    tenant = f"{ctx.key.fingerprint} {await ctx.organization()}"
    async with ctx.idempotency.attempt(tenant, tag, ctx.deadline) as start:
        yield start
