"""Calls per caller and minute: counted by this process, or by all replicas together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devin_mcp.server.http.call_rate import MAX_CALLERS, CallRate
from devin_mcp.server.http.rejections import RequestRejected
from tests.clock import AutoClock, ManualClock
from tests.conftest import settings_for
from tests.e2e.cluster import free_port, started, system_command, wait_until_reachable
from tests.http_client import start_http_server
from tests.server.http.raw_requests import error_message, post_ping
from tests.upstream import KEY, Upstream

OTHER_KEY = "apk_user_other_0001"


@pytest.fixture
async def redis_port(tmp_path: Path) -> AsyncIterator[int]:
    port = free_port()
    command = [system_command("redis-server"), "--port", str(port), "--save", ""]
    async with started(*command, "--dir", str(tmp_path)):
        await wait_until_reachable(port)
        yield port


async def statuses(url: str, key: str, count: int) -> list[int]:
    return [(await post_ping(url, x_devin_api_key=key)).status_code for _ in range(count)]


async def test_calls_above_the_limit_wait_for_the_next_minute(upstream: Upstream) -> None:
    clock = AutoClock()
    settings = settings_for(upstream, auth="caller-key", max_calls_per_minute=3)
    async with start_http_server(settings, clock) as url:
        assert await statuses(url, KEY, 3) == [200] * 3
        refused = await post_ping(url, x_devin_api_key=KEY)
        assert await statuses(url, OTHER_KEY, 1) == [200], "others are not concerned"
        clock.skip(61)
        assert await statuses(url, KEY, 1) == [200]
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    text = error_message(refused)
    assert text.startswith("You have made 3 calls within a minute, the most for one caller")
    assert "Nothing was done. Go on in 60 seconds." in text


async def test_without_the_setting_nobody_is_counted(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        assert await statuses(url, KEY, 40) == [200] * 40


async def test_replicas_count_together_and_each_alone_without_redis(
    upstream: Upstream, redis_port: int
) -> None:
    settings = settings_for(
        upstream,
        auth="caller-key",
        max_calls_per_minute=4,
        redis_url=f"redis://127.0.0.1:{redis_port}",
    )
    async with start_http_server(settings) as first, start_http_server(settings) as second:
        assert await statuses(first, KEY, 3) == [200] * 3
        assert await statuses(second, KEY, 3) == [200, 429, 429]
        assert await statuses(second, OTHER_KEY, 1) == [200]


async def test_unreachable_redis_stops_no_call(upstream: Upstream) -> None:
    settings = settings_for(
        upstream,
        auth="caller-key",
        max_calls_per_minute=2,
        redis_url=f"redis://127.0.0.1:{free_port()}",
    )
    async with start_http_server(settings) as url:
        assert await statuses(url, KEY, 3) == [200, 200, 429]


async def test_made_up_callers_take_bounded_memory() -> None:
    rate = CallRate(1, ManualClock())
    for number in range(MAX_CALLERS + 100):
        await rate.check(f"caller {number}")
    with pytest.raises(RequestRejected):
        await rate.check(f"caller {MAX_CALLERS}")
    assert len(rate._windows) == MAX_CALLERS  # noqa: SLF001 - what must not grow
