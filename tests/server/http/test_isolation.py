"""Callers with different keys, served by one process at the same time, see their own data only."""

from __future__ import annotations

import asyncio
from typing import Any
from zlib import crc32

import anyio

from tests.conftest import Era, settings_for
from tests.http_client import connect_over_http, start_http_server
from tests.upstream import Exchange, Upstream, answer

CALLERS = 50


async def respond_with_mark(exchange: Exchange) -> None:
    """Answer every request with records that hold the mark of the request's key."""
    mark = exchange.request.headers["authorization"].removeprefix("Bearer apk_user_")
    await asyncio.sleep(0.002 * (crc32(mark.encode()) % 5))
    if exchange.request.path.endswith("/broken"):
        await answer(500, {"detail": f"mark {mark}"})(exchange)
        return
    session = {
        "session_id": f"devin-{mark}",
        "status_enum": "blocked",
        "title": mark,
        "status": "x",
        "created_at": "",
        "updated_at": "",
    }
    messages = [{"type": "devin_message", "event_id": "e", "message": f"mark {mark}"}]
    note = {"id": f"note-{mark}", "name": mark, "body": f"mark {mark}"}
    playbook = {"playbook_id": f"playbook-{mark}", "title": mark, "body": f"mark {mark}"}
    bodies: dict[str, Any] = {
        "/v1/sessions": {"sessions": [session]},
        "/v1/knowledge": {"folders": [], "knowledge": [note]},
        "/v1/playbooks": [playbook],
    }
    await answer(200, bodies.get(exchange.request.path, session | {"messages": messages}))(exchange)


async def test_fifty_concurrent_callers_see_only_their_own_data(upstream: Upstream) -> None:
    """With cancellations and errors in between, and half of the callers in each protocol era."""
    for method in ("GET", "POST", "PUT", "DELETE"):
        upstream.fail(method, ".*", *[respond_with_mark] * 4000)
    marks = [f"{number:02}mark{number * 7919:06}" for number in range(CALLERS)]
    settings = settings_for(upstream, auth="caller-key", max_calls_per_caller=50)
    async with start_http_server(settings) as url, anyio.create_task_group() as group:
        for number, mark in enumerate(marks):
            group.start_soon(use_as_caller, url, mark, marks, "legacy" if number % 2 else "auto")
    keys = {seen.headers["authorization"] for seen in upstream.requests}
    assert keys == {f"Bearer apk_user_{mark}" for mark in marks}


async def use_as_caller(url: str, mark: str, marks: list[str], era: Era) -> None:
    results: list[str] = []
    async with connect_over_http(url, {"X-Devin-Api-Key": f"apk_user_{mark}"}, era=era) as client:
        for turn in range(3):
            wait = {"session_ids": ["devin-shared"], "max_wait_s": 1}
            results += [
                str(await client.ok("list_sessions")),
                str(await client.ok("wait_for_sessions", **wait)),
                str(await client.ok("list_knowledge", body="full")),
                str(await client.resources()),
                await client.read("devin://playbooks"),
                str([prompt.name for prompt in (await client.sdk.list_prompts()).prompts]),
                await client.error("get_session", session_id="broken"),
            ]
            with anyio.move_on_after(0.001 * turn):
                await client("list_knowledge")
        # Nobody can be asked for a confirmation here, so a destructive tool runs at once.
        results.append(str(await client.ok("delete_playbook", playbook_id="playbook-shared")))
    text = "".join(results)
    assert text.count(mark) > 15
    assert not [other for other in marks if other != mark and other in text]
