"""What a write costs does not grow with the number of writes, keys and cached values."""

from __future__ import annotations

import gc
import time

import pytest

from devin_mcp.api.client import DevinClient
from devin_mcp.api.pending_writes import WriteEvent
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.services import Services
from tests.clock import AutoClock
from tests.conftest import settings_for
from tests.upstream import Upstream


@pytest.mark.parametrize("operation_id", ["send_message", "create_playbook"])
@pytest.mark.parametrize("tenants", [1, 1000])
async def test_twenty_thousand_messages_of_other_replicas_cost_linear_time(
    upstream: Upstream, operation_id: str, tenants: int
) -> None:
    clock = AutoClock()
    client = DevinClient(settings_for(upstream), clock=clock)
    services = Services(client, Policy(25_000), max_sessions=1, cache_ttl=30)

    async def load() -> str:
        return "x"

    for number in range(1000):
        await services.cache.get(str(number % tenants), f"sessions/{number}", load)

    def notify(count: int) -> float:
        gc.disable()  # a collection would walk through the objects of all tests
        started_at = time.thread_time()
        for number in range(count):
            ids = {"session_id": f"devin-{number:032x}"}
            client.pending_writes.notify(WriteEvent(str(number % tenants), operation_id, ids))
        duration = time.thread_time() - started_at
        gc.enable()
        return duration

    notify(100)
    few, many = notify(2_000), notify(20_000)
    services.close()
    await client.aclose()
    assert many < few * 30, f"{few:.3f} s for 2,000 and {many:.3f} s for 20,000"
