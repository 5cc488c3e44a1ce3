"""A task outlives the process that created it: over stdio, and at another replica."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from devin_mcp.server.tasks import TASKS
from tests.clock import HANG_SECONDS
from tests.e2e.cluster import start_cluster
from tests.e2e.processes import Process, start_process
from tests.http_client import MODERN_META
from tests.server.task_client import TaskClient
from tests.upstream import KEY, Upstream

META = MODERN_META | {
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}},
}
PROMPT = "Add a check, and ask me how strict it should be"


async def request(server: Process, method: str, **params: Any) -> dict[str, Any]:
    """The result of a request over stdio."""
    server.send(id=1, method=method, params=params | {"_meta": META})
    while "id" not in (message := await server.read_message()):
        pass  # a notification
    result: dict[str, Any] = message["result"]
    return result


async def completed(client: TaskClient, task_id: str) -> dict[str, Any]:
    """The task, once it is completed."""
    with anyio.fail_after(HANG_SECONDS):
        while (task := await client.get(task_id))["status"] == "working":  # noqa: ASYNC110 - a client polls
            await anyio.sleep(0.2)
    return task


async def test_task_goes_on_after_a_restart_over_stdio(upstream: Upstream) -> None:
    variables = {"DEVIN_BASE_URL": upstream.url, "DEVIN_API_KEY": KEY}
    arguments = {"prompt": PROMPT, "max_wait_s": 30}
    async with start_process(**variables) as server:
        call = {"name": "devin_delegate_task", "arguments": arguments}
        created = await request(server, "tools/call", **call)
        assert (created["resultType"], created["status"]) == ("task", "working")
        task_id = created["taskId"]
        looked = await request(server, "tasks/get", taskId=task_id)
        assert (looked["taskId"], looked["status"]) == (task_id, "working")
        server.process.kill()
    upstream.sandbox.clock.advance(10)
    async with start_process(**variables) as server:
        completed = await request(server, "tasks/get", taskId=task_id)
        acknowledged = await request(server, "tasks/cancel", taskId=task_id)
    assert completed["status"] == "completed"
    assert "strict (an error) or lenient" in completed["result"]["content"][0]["text"]
    assert acknowledged["resultType"] == "complete"
    assert len(upstream.sent("create_session")) == 1


async def test_task_goes_on_when_the_replica_that_created_it_is_killed(tmp_path: Path) -> None:
    key = "apk_user_task_owner"
    async with start_cluster(tmp_path) as cluster:
        creator = TaskClient(f"http://127.0.0.1:{next(iter(cluster.replicas))}/mcp", key)
        task = await creator.call("delegate_task", prompt=PROMPT, max_wait_s=30)
        await cluster.kill_replica()
        await cluster.wait_until_balanced()
        result = (await completed(TaskClient(cluster.url, key), task["taskId"]))["result"]
        sessions = await cluster.sessions(key)
    assert "strict (an error) or lenient" in result["content"][0]["text"]
    assert len(sessions) == 1
