"""What replicas share about calls over Redis: their number per caller and minute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from devin_mcp.api.clock import Clock
from devin_mcp.observability.log import event
from devin_mcp.server.http.call_rate import WINDOW_SECONDS, CallCount, CallRate
from devin_mcp.server.redis_link import AWAY, PREFIX, RECONNECT_SECONDS, RedisLink

_ADD = """
local calls = redis.call('INCR', KEYS[1])
if calls == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {calls, redis.call('PTTL', KEYS[1])}
"""


@asynccontextmanager
async def share_calls(url: str, rate: CallRate, clock: Clock) -> AsyncIterator[None]:
    """Count the calls of this process together with those of the other replicas."""
    link = RedisLink(url, clock, _report)
    rate.shared = RedisCalls(link)
    try:
        yield
    finally:
        rate.shared = None
        await link.aclose()


def _report(error: str | None) -> None:
    if error is None:
        event("shared_calls", outcome="shared")
        return
    retry = {"error": error, "retry_in_s": RECONNECT_SECONDS}
    event("shared_calls", level="warning", outcome="not_shared", **retry)


class RedisCalls:
    """The calls of all replicas. Redis holds hashes and numbers, for a minute."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._add = link.redis.register_script(_ADD)

    async def add(self, caller: str) -> CallCount | None:
        """Count a call. None while Redis cannot be reached."""
        name = f"{PREFIX}calls:{sha256(caller.encode()).hexdigest()}"
        counted = await self._link.run(self._add([name], [WINDOW_SECONDS]))
        if counted is AWAY:
            return None
        calls, milliseconds_left = counted
        return CallCount(calls, max(0, milliseconds_left) / 1000)
