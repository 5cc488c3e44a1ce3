"""The README's delegation with nothing changed but the key: both APIs, transports and eras."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from devin_mcp.keys import KEY_HEADER, DevinApi
from tests.conftest import Era, ToolClient, settings_for
from tests.e2e.processes import COMMAND, environment
from tests.http_client import connect_over_http, start_http_server
from tests.server.fake_user import FakeUser
from tests.upstream import KEYS, Upstream

TASK = "Orders with a negative price are accepted. Add a check, with tests."
NEXT_STEP_SECONDS = 10.0
"""Within this time the simulated Devin asks, and after the answer delivers."""

Transport = Literal["stdio", "http"]


@asynccontextmanager
async def connected(
    upstream: Upstream, api: DevinApi, transport: Transport, era: Era, user: FakeUser, files: Path
) -> AsyncIterator[ToolClient]:
    """A client of a server that reaches `upstream` with the key of this API."""
    if transport == "http":
        settings = settings_for(upstream, auth="caller-key")
        async with (
            start_http_server(settings) as url,
            connect_over_http(url, {KEY_HEADER: KEYS[api]}, era=era, ask=user) as client,
        ):
            yield client
        return
    command = StdioServerParameters(
        command=COMMAND[0],
        args=[*COMMAND[1:], "--files-root", str(files)],
        env=environment(DEVIN_API_KEY=KEYS[api], DEVIN_BASE_URL=upstream.url),
    )
    async with Client(stdio_client(command), mode=era, elicitation_callback=user) as sdk:
        yield ToolClient(sdk)


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_delegation_runs_with_nothing_changed_but_the_key(
    upstream: Upstream, api: DevinApi, transport: Transport, era: Era, files: Path
) -> None:
    """Delegate with file and playbook, wait, answer, take the pull request, browse knowledge,
    decline a deletion.
    """
    (files / "failure.txt").write_text("assert 200 == 422\n")
    user = FakeUser("decline")
    async with connected(upstream, api, transport, era, user, files) as client:
        attached = str(files / "failure.txt")
        if transport == "http":
            uploaded = await client.ok("upload_attachment", name="failure.txt", content="assert\n")
            attached = uploaded["url"]
        delegated = await client.ok(
            "delegate_task",
            prompt=TASK,
            repository="acme/shop-api",
            playbook="!fixtest",
            files=[attached],
            max_acu_limit=5,
            idempotency_key="negative prices",
        )
        session_id = delegated["session_id"]
        assert session_id.startswith("devin-")

        upstream.sandbox.clock.advance(NEXT_STEP_SECONDS)
        question = await client.ok("wait_for_sessions", session_ids=[session_id])
        assert question["sessions"][0]["phase"] == "waiting"
        assert "failure.txt" in question["sessions"][0]["messages"][-1]["message"]

        await client.ok("send_message", session_id=session_id, message="Strict, please.")
        upstream.sandbox.clock.advance(NEXT_STEP_SECONDS)
        result = await client.ok(
            "wait_for_sessions", session_ids=[session_id], cursor=question["cursor"]
        )
        (session,) = result["sessions"]
        assert session["phase"] == "done"
        assert session["pull_requests"][0]["url"].startswith("https://")

        notes = await client.ok("list_knowledge", search="tests")
        note_id = notes["knowledge"][0]["note_id"]
        assert "# " in await client.read(f"devin://knowledge/{note_id}")
        if transport == "stdio" or era == "auto":  # older clients cannot be asked over HTTP
            text = await client.error("delete_playbook", playbook_id="playbook-0001")
            assert "answered with no" in text
            assert "Fix a failing test" in user.questions[0]
    assert "playbook-0001" in upstream.organization.playbooks
    (started,) = upstream.organization.sessions.values()
    assert started.body["playbook_id"] == "playbook-0001"
    versions = {request.path.split("/")[1].removesuffix("beta1") for request in upstream.requests}
    assert versions == {api}
    if api == "v3":
        assert started.body["repos"] == ["acme/shop-api"]


async def test_two_callers_of_one_server_have_the_tools_of_their_own_api(
    upstream: Upstream, era: Era
) -> None:
    """Both see the same session, which one of them starts."""
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        schemas = {}
        for api, key in KEYS.items():
            async with connect_over_http(url, {KEY_HEADER: key}, era=era) as client:
                tools = (await client.sdk.list_tools()).tools
                schemas[api] = {tool.name: tool.input_schema for tool in tools}
                delegated = await client.ok("delegate_task", prompt="p", idempotency_key="k")
                assert delegated["is_new_session"] is (api == "v1")
    create_session = {api: set(schemas[api]["devin_create_session"]["properties"]) for api in KEYS}
    assert "snapshot_id" in create_session["v1"] - create_session["v3"]
    assert "repositories" in create_session["v3"] - create_session["v1"]
    assert list(schemas["v1"]) == [name for name in schemas["v3"] if name in schemas["v1"]]
    assert len(upstream.organization.sessions) == 1
