"""What an operator sees: metrics of one process and of several, traces, and who did what."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.types import ElicitResult

from tests.conftest import ToolClient, settings_for
from tests.e2e.processes import Process, running, serving
from tests.http_client import deployed, visiting
from tests.upstream import KEY, Upstream, answer, slow


def figures(text: str) -> dict[str, float]:
    """`name{labels}` -> value."""
    rows = [line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in rows}


async def measured(address: str) -> dict[str, float]:
    async with httpx.AsyncClient(timeout=10) as web:
        return figures((await web.get(address)).text)


async def served(server: Process, url: str) -> str:
    """The address of the metrics, from the line that the server wrote when it started."""
    line = next(line for line in server.stderr.splitlines() if b'"serving"' in line)
    assert json.loads(line)["url"] == url
    return str(json.loads(line)["metrics"])


async def test_calls_attempts_and_pollers_are_counted_without_names_or_ids(
    upstream: Upstream,
) -> None:
    given = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with serving("--metrics-port", "0", **given) as (server, url), visiting(url) as client:
        metrics = await served(server, url)
        gate = asyncio.Event()
        one = (await client.ok("create_session", prompt="sandbox:forever"))["session_id"]
        upstream.fail("GET", "/v1/secrets", answer(503), slow(gate))
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.ok("list_secrets"))
            group.start_soon(
                lambda: client.ok("wait_for_sessions", session_ids=[one], max_wait_s=1)
            )
            await upstream.until("GET", "/v1/secrets", 2)
            await upstream.until("GET", "/v1/sessions/.*")
            during = await measured(metrics)
            gate.set()
        await client.error("get_playbook", playbook_id="nope")
        async with httpx.AsyncClient() as web:
            await web.post(url, headers={"host": "evil.example"})
        after = await measured(metrics)
    assert during['devin_mcp_calls_in_flight{method="tools/call"}'] == 2
    assert during["devin_mcp_pollers"] == 1
    assert after['devin_mcp_calls_in_flight{method="tools/call"}'] == 0
    assert after["devin_mcp_pollers"] == 0
    assert (
        after['devin_mcp_calls_total{method="tools/call",operation="list_secrets",outcome="ok"}']
        == 1
    )
    assert (
        after[
            'devin_mcp_calls_total{method="tools/call",operation="get_playbook",outcome="tool_error"}'
        ]
        == 1
    )
    assert after['devin_mcp_upstream_attempts_total{outcome="503",route="GET /v1/secrets"}'] == 1
    assert after['devin_mcp_upstream_attempts_total{outcome="200",route="GET /v1/secrets"}'] == 1
    assert after['devin_mcp_call_duration_seconds_count{method="tools/call"}'] == 4
    assert after['devin_mcp_http_rejected_total{reason="host"}'] == 1
    assert after["devin_mcp_upstream_trouble"] == 0
    assert "process_open_fds" in after
    labels = " ".join(name for name in after if name.startswith("devin_mcp"))
    assert not re.search(r"devin-[0-9a-f]{6}|apk_|nope|caller", labels)


async def test_there_are_no_metrics_at_the_address_of_the_tools() -> None:
    async with serving("--sandbox") as (server, url), httpx.AsyncClient() as web:
        assert (await web.get(url.replace("/mcp", "/metrics"))).status_code == 404
        assert b'"metrics"' not in server.stderr


async def agrees(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={})


async def test_workers_share_the_socket_count_together_and_answer_each_others_questions(
    upstream: Upstream,
) -> None:
    given = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with serving("--workers", "2", "--metrics-port", "0", **given) as (server, url):
        metrics = await served(server, url)
        assert (await server.logged("no_replication"))["level"] == "warning"
        async with anyio.create_task_group() as group:
            for _ in range(24):
                group.start_soon(one_visit, url)
        found = await measured(metrics)
        assert (
            found[
                'devin_mcp_calls_total{method="tools/call",operation="list_playbooks",outcome="ok"}'
            ]
            == 24
        )
        assert found['devin_mcp_calls_in_flight{method="tools/call"}'] == 0
        for one in list(
            upstream.organization.playbooks
        ):  # asked by one worker, and as likely as not answered to the other
            async with visiting(url, ask=agrees) as client:
                await client.ok("delete_playbook", playbook_id=one)
        assert upstream.organization.playbooks == {}
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0
    assert b"Traceback" not in server.stderr


async def test_workers_with_a_simulated_devin_each_are_refused() -> None:
    async with running("http", "--sandbox", "--workers", "2") as server:
        assert await server.end() == 2
    assert b"runs in one process" in server.stderr


async def one_visit(url: str) -> None:
    async with visiting(url) as client:
        await client.ok("list_playbooks")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes as Linux shows them")
async def test_a_worker_that_dies_is_replaced_and_orphans_end(upstream: Upstream) -> None:
    async with serving("--workers", "2", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url) as (
        server,
        url,
    ):
        await one_visit(url)
        parent = server.process.pid
        (first, *_) = children(parent)
        os.kill(first, signal.SIGKILL)
        died = await server.logged("worker_died")
        assert (died["pid"], died["exit_status"]) == (first, -9)
        with anyio.fail_after(20):
            while len(children(parent)) < 2:  # noqa: ASYNC110 - processes of the system
                await anyio.sleep(0.1)
        await one_visit(url)
        left = children(parent)
        server.process.kill()
        with anyio.fail_after(20):
            while any(alive(one) for one in left):  # noqa: ASYNC110 - processes of the system
                await anyio.sleep(0.1)


def children(parent: int) -> list[int]:
    """Those that serve, not the helper of multiprocessing that tracks resources."""
    found = [
        int(one.parent.name)
        for one in Path("/proc").glob("[0-9]*/cmdline")
        if b"spawn_main" in content(one)
    ]
    return [
        one
        for one in found
        if content(Path(f"/proc/{one}/stat")).rsplit(b")", 1)[-1].split()[1:2]
        == [str(parent).encode()]
    ]


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has just ended
        return b""


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


async def test_a_call_and_its_requests_are_one_trace_and_the_log_knows_it(
    upstream: Upstream,
) -> None:
    given = {
        "DEVIN_API_KEY": KEY,
        "DEVIN_BASE_URL": upstream.url,
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_SERVICE_NAME": "devin-for-all",
    }
    upstream.fail("GET", "/v1/playbooks", answer(503))
    async with serving(**given) as (server, url):
        await one_visit(url)
        server.process.send_signal(signal.SIGTERM)
        assert await server.end(close=False) == 0
    spans = [
        json.loads(part)
        for part in re.findall(r"^\{.*?^\}", server.stdout.decode(), re.MULTILINE | re.DOTALL)
    ]
    tool = next(span for span in spans if span["name"] == "tools/call devin_list_playbooks")
    requests = [span for span in spans if span["name"] == "GET /v1/playbooks"]
    assert [span["attributes"]["http.response.status_code"] for span in requests] == [503, 200]
    for span in requests:
        assert (span["parent_id"], span["context"]["trace_id"]) == (
            tool["context"]["span_id"],
            tool["context"]["trace_id"],
        )
        assert span["resource"]["attributes"]["service.name"] == "devin-for-all"
    lines = [json.loads(line) for line in server.stderr.splitlines() if line.startswith(b"{")]
    traced = {line["trace_id"] for line in lines if line["event"] in {"mcp_call", "api_request"}}
    assert traced == {tool["context"]["trace_id"].removeprefix("0x")}
    assert KEY not in server.stdout.decode()


async def test_a_key_of_ones_own_beside_the_callers_is_pointed_out() -> None:
    async with serving("--sandbox", "--auth", "caller-key", DEVIN_API_KEY="apk_unused_0000") as (
        server,
        _,
    ):
        assert "each caller brings a key" in (await server.logged("own_key_unused"))["why"]


async def test_fifty_callers_see_nothing_but_their_own(upstream: Upstream) -> None:
    """Fifty keys at once, with cancellations and errors between: what each is told bears its own mark and no other."""

    async def own(exchange: Any) -> None:
        mark = exchange.seen.headers["authorization"].removeprefix("Bearer apk_user_")
        await asyncio.sleep(0.002 * (hash(mark) % 5))
        if exchange.seen.path.endswith("/broken"):
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
        said = [{"type": "devin_message", "event_id": "e", "message": f"mark {mark}"}]
        body: Any = {
            "/v1/sessions": {"sessions": [session]},
            "/v1/knowledge": {
                "folders": [],
                "knowledge": [{"id": f"note-{mark}", "name": mark, "body": f"mark {mark}"}],
            },
            "/v1/playbooks": [
                {"playbook_id": f"playbook-{mark}", "title": mark, "body": f"mark {mark}"}
            ],
        }.get(exchange.seen.path, session | {"messages": said})
        await answer(200, body)(exchange)

    for method in ("GET", "POST", "PUT", "DELETE"):
        upstream.fail(method, ".*", *[own] * 4000)
    marks = [f"{number:02}mark{number * 7919:06}" for number in range(50)]
    async with (
        deployed(settings_for(upstream, auth="caller-key", max_calls_per_caller=50)) as url,
        anyio.create_task_group() as group,
    ):
        for mark in marks:
            group.start_soon(one_of_fifty, url, mark, marks)
    keys = {
        seen.headers["authorization"].removeprefix("Bearer apk_user_") for seen in upstream.requests
    }
    assert keys == set(marks)


async def one_of_fifty(url: str, mark: str, marks: list[str]) -> None:
    era = "legacy" if int(mark[:2]) % 2 else "auto"
    async with visiting(url, {"X-Devin-Api-Key": f"apk_user_{mark}"}, era=era) as client:  # type: ignore[arg-type]
        told: list[str] = []
        for turn in range(3):
            told.append(str(await client.ok("list_sessions")))
            told.append(
                str(
                    await client.ok("wait_for_sessions", session_ids=["devin-shared"], max_wait_s=1)
                )
            )
            told.append(str(await client.ok("list_knowledge", body="full")))
            told.append(str(await client.resources()))
            told.append(await client.read("devin://playbooks"))
            told.append(str([one.name for one in (await client.sdk.list_prompts()).prompts]))
            told.append(await client.error("get_session", session_id="broken"))
            with anyio.move_on_after(0.001 * turn):
                await client("list_knowledge")
        told.append(await ended(client))
    whole = "".join(told)
    assert whole.count(mark) > 15
    assert not [other for other in marks if other != mark and other in whole]


async def ended(client: ToolClient) -> str:
    """A destructive tool goes ahead where nobody can be asked; its cursor and state are the caller's own, too."""
    return str(await client.ok("delete_playbook", playbook_id="playbook-shared"))


async def test_workers_that_cannot_live_are_given_up() -> None:
    code = (
        "import sys\nfrom functools import partial\nfrom devin_mcp.server.http.workers import run_workers\n"
        "from devin_mcp.settings.settings import Settings\n"
        "if __name__ == '__main__':\n    sys.exit(run_workers(Settings(workers=2), partial(sys.exit, 7), grace=1))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=asyncio.subprocess.DEVNULL
    )
    with anyio.fail_after(60):
        assert await process.wait() == 1
