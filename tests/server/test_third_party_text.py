"""Third-party text where a person reads it: nothing invisible or controlling, and no secret.

Every channel is tried with each of the hostile texts.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference

from devin_mcp.keys import DevinApi
from devin_mcp.observability import log, log_config
from tests.clock import ManualClock
from tests.conftest import Connect, ToolClient, eventually, settings_for
from tests.fake_session import FakeSession
from tests.http_client import start_http_server
from tests.server.contents import prompt_text
from tests.server.fake_user import FakeUser
from tests.server.hostile_texts import (
    CHARACTERS,
    SECRET,
    SECRET_VARIABLE,
    TEXTS,
    unfit,
    write_hostile_records,
    write_hostile_sessions,
)
from tests.server.task_client import TaskClient
from tests.server.test_prompts import FIXED_PROMPTS
from tests.upstream import V3_KEY, Upstream, answer

pytestmark = pytest.mark.usefixtures("api")

SETTINGS: dict[str, Any] = {"allow_secret_env": SECRET_VARIABLE}
SESSIONS_PER_WAIT = 16


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> None:
    """The secret is never used, so that its variable alone makes it known."""
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    write_hostile_records(upstream)


def assert_fit_for_people(texts: list[str], *, expected: int) -> None:
    """At least so many texts were received, and all are fit for a person."""
    assert len(texts) >= expected
    offenders = {text: found for text in texts if (found := unfit(text))}
    assert offenders == {}


def has_count(messages: list[str], count: int) -> bool:
    return len(messages) >= count


async def test_questions_to_the_person(connect: Connect, upstream: Upstream, api: DevinApi) -> None:
    user = FakeUser("decline")
    sessions = write_hostile_sessions(upstream)
    deletions = {
        ("delete_playbook", "playbook_id"): list(upstream.organization.playbooks),
        ("delete_knowledge", "note_id"): list(upstream.organization.notes),
        ("delete_secret", "secret_id"): list(upstream.organization.secrets),
        ("terminate_session", "session_id"): sessions,
    }
    if api == "v3":
        deletions["delete_schedule", "schedule_id"] = list(upstream.organization.schedules)
    async with connect(ask=user, toolsets="all", **SETTINGS) as client:
        for (tool, argument), ids in deletions.items():
            for record_id in ids:
                await client.error(tool, **{argument: record_id})
    assert_fit_for_people(user.questions, expected=len(deletions) * len(TEXTS))
    assert all(' "Begin ' in question for question in user.questions)


async def test_progress(connect: Connect, upstream: Upstream, manual_clock: ManualClock) -> None:
    messages: list[str] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        messages.append(message or "")

    texts = list(TEXTS.values())
    async with connect(manual_clock=manual_clock, **SETTINGS) as client:
        for start in range(0, len(texts), SESSIONS_PER_WAIT):
            fakes = [
                FakeSession(f"devin-{start + index:032x}", fields={"title": text}).at(upstream)
                for index, text in enumerate(texts[start : start + SESSIONS_PER_WAIT])
            ]
            ids = [fake.session_id for fake in fakes]
            waiting = asyncio.ensure_future(
                client.sdk.call_tool(
                    "devin_wait_for_sessions", {"session_ids": ids}, progress_callback=on_progress
                )
            )
            await manual_clock.wait_for_sleepers(len(ids) + 1)
            for fake in fakes:
                fake.devin_says("I am reading.")
            await manual_clock.advance(8, until_asleep=len(ids) + 1)
            await eventually(partial(has_count, messages, start + len(ids)))
            waiting.cancel()
            await manual_clock.wait_for_sleepers(0)
    assert_fit_for_people(messages, expected=len(TEXTS))
    assert all(message.startswith('"Begin') for message in messages)


async def test_status_of_tasks(upstream: Upstream, manual_clock: ManualClock) -> None:
    messages: list[str] = []
    async with start_http_server(settings_for(upstream, **SETTINGS), manual_clock) as url:
        client = TaskClient(url)
        for number, text in enumerate(TEXTS.values()):
            fake = FakeSession(f"devin-{number:032x}", fields={"title": text}).at(upstream)
            task = await client.call("wait_for_sessions", session_ids=[fake.session_id])
            messages.append((await client.get(task["taskId"]))["statusMessage"])
    assert_fit_for_people(messages, expected=len(TEXTS))
    assert all(message.startswith('"Begin') for message in messages)


async def test_titles_and_descriptions_of_prompts(connect: Connect) -> None:
    async with connect(**SETTINGS) as client:
        prompts = (await client.sdk.list_prompts()).prompts
        results = [
            await client.sdk.get_prompt(prompt.name, {"task": "t"})
            for prompt in prompts
            if prompt.name not in FIXED_PROMPTS["v3"]
        ]
    listed = [f"{prompt.name} {prompt.title} {prompt.description}" for prompt in prompts]
    assert_fit_for_people(listed, expected=len(TEXTS))
    rendered = [f"{result.description} {prompt_text(result)}" for result in results]
    assert_fit_for_people(rendered, expected=len(TEXTS))
    assert all('with this playbook: "Do Begin' in text for text in rendered)
    assert all('with the playbook "Begin' in text for text in rendered)


async def test_titles_and_descriptions_of_resources(connect: Connect) -> None:
    async with connect(**SETTINGS) as client:
        resources = [resource for resource in await client.resources() if resource.size is not None]
    texts = [f"{resource.name} {resource.title} {resource.description}" for resource in resources]
    assert_fit_for_people(texts, expected=2 * len(TEXTS))
    assert all((resource.description or "").startswith('"') for resource in resources)


@pytest.mark.one_api("v3", reason="v1 has no schedules.")
async def test_question_about_a_new_schedule(connect: Connect) -> None:
    user = FakeUser("decline")
    async with connect(ask=user, toolsets="all", **SETTINGS) as client:
        for text in TEXTS.values():
            await client.error("create_schedule", name=text, prompt=text, frequency="0 2 * * *")
    assert_fit_for_people(user.questions, expected=len(TEXTS))
    assert all('the schedule "Begin ' in question for question in user.questions)


@pytest.mark.one_api("v3", reason="v1 does not know what Devin can reach.")
async def test_suggested_repository(connect: Connect, upstream: Upstream) -> None:
    texts = []
    for text in (TEXTS[name] for name in CHARACTERS):
        path = f"acme/{text}"
        upstream.organization.repositories = [{"repo_path": path, "repo_name": text}]
        async with connect(**SETTINGS) as client:
            wanted = f"acme/{re.sub(r'[^A-Za-z0-9.-]', '-', text)}"
            texts.append(await client.error("delegate_task", prompt="p", repository=wanted))
    assert_fit_for_people(texts, expected=len(CHARACTERS))
    assert all('did you mean "acme/Begin ' in text for text in texts)


async def test_completions(connect: Connect, upstream: Upstream) -> None:
    write_hostile_sessions(upstream)
    async with connect(**SETTINGS) as client:
        prompt = (await client.sdk.list_prompts()).prompts[-1].name
        reference = PromptReference(type="ref/prompt", name=prompt)
        argument = {"name": "task", "value": "Begin"}
        values = (await client.sdk.complete(reference, argument)).completion.values
    assert_fit_for_people(values, expected=len(CHARACTERS))


@pytest.fixture
async def client(connect: Connect) -> AsyncIterator[ToolClient]:
    async with connect(**SETTINGS) as client:
        yield client


async def test_errors_that_name_records(client: ToolClient, upstream: Upstream) -> None:
    """Each playbook and note by itself, because an error names five at most."""
    texts = []
    playbooks, notes = upstream.organization.playbooks, upstream.organization.notes
    for playbook, named_note in zip(list(playbooks.values()), list(notes.values()), strict=True):
        upstream.organization.playbooks = {playbook["playbook_id"]: playbook}
        upstream.organization.notes = {named_note["id"]: named_note}
        texts.append(await client.error("delegate_task", prompt="p", playbook="begi"))
        texts.append(await client.error("delegate_task", prompt="p", knowledge=["begi"]))
    assert_fit_for_people(texts, expected=2 * len(TEXTS))
    assert all('Perhaps one of these is meant: "Begin' in text for text in texts)


async def test_errors_that_quote_devin(connect: Connect, upstream: Upstream, api: DevinApi) -> None:
    texts = []
    async with connect(**SETTINGS) as client:
        for text in TEXTS.values():
            upstream.fail_operation("create_session", answer(422, {"detail": text}))
            texts.append(await client.error("create_session", prompt="p"))
    if api == "v3":
        key = V3_KEY.replace("cog_sandbox", "cog_sandbox_enterprise")
        async with connect(DEVIN_API_KEY=key, **SETTINGS) as client:
            for text in TEXTS.values():
                rows = [{"org_id": f"org-{number}", "name": text} for number in range(2)]
                upstream.fail_operation("list_organizations", answer(200, {"items": rows}))
                texts.append(await client.error("create_session", prompt="p"))
        assert 'organizations: "Begin ' in texts[-1]
    assert_fit_for_people(texts, expected=len(TEXTS))


async def test_errors_that_quote_the_caller(client: ToolClient) -> None:
    texts = []
    for text in TEXTS.values():
        texts.append(await client.error(f"x{text}"))
        texts.append(await client.error("create_session", prompt="p", **{f"tags{text[6:]}": []}))
        for uri in (f"devin://playbooks/{text}", f"devin://nothing/{text}"):
            with pytest.raises(MCPError) as refused:
                await client.sdk.read_resource(uri)
            texts.append(refused.value.error.message)
        for prompt in ("with_playbook", text):
            with pytest.raises(MCPError) as refused:
                await client.sdk.get_prompt(prompt, {"task": "t", text: "x"})
            texts.append(refused.value.error.message)
        reference = ResourceTemplateReference(type="ref/resource", uri="devin://playbooks/{x}")
        with pytest.raises(MCPError) as refused:
            await client.sdk.complete(reference, {"name": text, "value": "x"})
        texts.append(refused.value.error.message)
    assert_fit_for_people(texts, expected=7 * len(TEXTS))


async def test_misspelt_argument_is_escaped(client: ToolClient) -> None:
    """A name that is close to a real one is repeated in the suggestion."""
    texts = [
        await client.error("create_session", prompt="p", **{f"prom{character}pt": "x"})
        for character in CHARACTERS.values()
    ]
    assert sum("did you mean prompt" in text for text in texts) > 10
    assert_fit_for_people(texts, expected=len(CHARACTERS))


@pytest.mark.parametrize("style", ["console", "json"])
async def test_log(connect: Connect, style: str) -> None:
    """What a client sends, and any fact of an event; stderr of either style may be a terminal."""
    stream = io.StringIO()
    log_config.configure("debug", style, stream)
    try:
        async with connect(**SETTINGS) as client:
            for text in TEXTS.values():
                with pytest.raises(MCPError):
                    await client.read(f"devin://sessions/{text}")
                await client(f"x{text}")
                log.event("odd", fact=text, more=[text], level="warning")
        log.flush()
    finally:
        log_config.configure("error", "json", io.StringIO())
    # Lines end with one of the characters.
    assert_fit_for_people(stream.getvalue().splitlines(), expected=3 * len(TEXTS))
