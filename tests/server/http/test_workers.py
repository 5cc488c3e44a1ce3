"""--workers: processes that share a socket, metrics and confirmations; replaced when one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp.types import ElicitResult

from tests.clock import HANG_SECONDS
from tests.e2e.processes import start_http_process
from tests.http_client import ACCEPT, INITIALIZE, connect_over_http
from tests.server.http.conftest import ANA_TOKEN, BEN_TOKEN, token_line
from tests.server.http.metrics_client import metrics_address, read_metrics
from tests.server.http.raw_requests import bearer, error_message, post_ping
from tests.upstream import KEY, Upstream


async def accept(context: Any, params: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={})


async def list_playbooks(url: str) -> None:
    async with connect_over_http(url) as client:
        await client.ok("list_playbooks")


async def test_workers_share_socket_metrics_and_confirmations(upstream: Upstream) -> None:
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with start_http_process("--workers", "2", "--metrics-port", "0", **environment) as (
        server,
        url,
    ):
        address = metrics_address(server, url)
        assert (await server.wait_for_log("no_replication"))["level"] == "warning"
        async with anyio.create_task_group() as group:
            for _ in range(24):
                group.start_soon(list_playbooks, url)
        metrics = await read_metrics(address)
        labels = '{error="",method="tools/call",operation="list_playbooks",outcome="ok"}'
        assert metrics[f"devin_mcp_calls_total{labels}"] == 24
        assert metrics['devin_mcp_calls_in_flight{method="tools/call"}'] == 0
        # One worker asks for the confirmation, and the answer may well reach the other one.
        for playbook_id in list(upstream.organization.playbooks):
            async with connect_over_http(url, ask=accept) as client:
                await client.ok("delete_playbook", playbook_id=playbook_id)
        assert upstream.organization.playbooks == {}
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    assert b"Traceback" not in server.stderr


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
async def test_dead_worker_is_replaced_and_workers_exit_with_their_parent(
    upstream: Upstream,
) -> None:
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with start_http_process("--workers", "2", **environment) as (server, url):
        await list_playbooks(url)
        parent_id = server.process.pid
        first_id = worker_ids(parent_id)[0]
        os.kill(first_id, signal.SIGKILL)
        line = await server.wait_for_log("worker_exited")
        assert (line["pid"], line["exit_status"]) == (first_id, -signal.SIGKILL)
        with anyio.fail_after(20):
            while len(worker_ids(parent_id)) < 2:  # noqa: ASYNC110 - processes send no event
                await anyio.sleep(0.1)
        await list_playbooks(url)
        remaining_ids = worker_ids(parent_id)
        server.process.kill()
        with anyio.fail_after(20):
            while any(map(is_running, remaining_ids)):  # noqa: ASYNC110 - as above
                await anyio.sleep(0.1)


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads the process table of Linux")
async def test_replaced_worker_has_the_last_valid_caller_tokens(
    upstream: Upstream, tokens_file: Path
) -> None:
    """First ana is removed, then a line becomes invalid, then both workers are killed."""
    arguments = ("--workers", "2", "--auth", "token", "--caller-tokens-file", str(tokens_file))
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    async with start_http_process(*arguments, **environment) as (server, url):
        assert (await post_ping(url, **bearer(ANA_TOKEN))).status_code == 200
        tokens_file.write_text(token_line("ben", BEN_TOKEN))
        await server.wait_for_log("caller_tokens")  # of the parent, which nobody calls
        tokens_file.write_text("ben:not a digest\n")
        old_ids = worker_ids(server.process.pid)
        for process_id in old_ids:
            os.kill(process_id, signal.SIGKILL)
        # The socket stays open, so the request waits for the new workers.
        async with httpx.AsyncClient(timeout=HANG_SECONDS, headers=ACCEPT) as http:
            answer = await http.post(url, json=INITIALIZE, headers=bearer(BEN_TOKEN))
            rejected = await http.post(url, json=INITIALIZE, headers=bearer(ANA_TOKEN))
        assert answer.status_code == 200
        assert rejected.status_code == 403
        assert "not valid any more" in error_message(rejected)
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait_for_exit(close=False) == 0
    assert b"Traceback" not in server.stderr
    assert server.stderr.count(b'"worker_exited"') == 2


def worker_ids(parent_id: int) -> list[int]:
    """The worker processes of a server, without the resource tracker of multiprocessing."""
    spawned_ids = [
        int(file.parent.name)
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if b"spawn_main" in read_proc(file)
    ]
    return [process_id for process_id in spawned_ids if parent_of(process_id) == parent_id]


def parent_of(process_id: int) -> int | None:
    """Field 4 of /proc/PID/stat; None for a process that has exited."""
    fields = read_proc(Path(f"/proc/{process_id}/stat")).rsplit(b")", 1)[-1].split()
    return int(fields[1]) if len(fields) > 1 else None


def read_proc(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has just exited
        return b""


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except OSError:
        return False
    return True


RUN_FAILING_WORKERS = """
import sys
from functools import partial
from devin_mcp.observability import log_config
from devin_mcp.server.http.workers import run_workers
from devin_mcp.settings import Settings
if __name__ == "__main__":
    log_config.configure("info", "json")
    sys.exit(
        run_workers(
            Settings(workers=2), partial(sys.exit, 7), grace=1, max_failed_starts=2, restart_delay=0
        )
    )
"""


async def test_workers_that_fail_to_start_are_given_up() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN_FAILING_WORKERS, stderr=asyncio.subprocess.PIPE
    )
    with anyio.fail_after(60):
        _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.count(b'"exit_status": 7') >= 4, "each of both workers failed twice"
