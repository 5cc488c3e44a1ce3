"""Replicas tell each other what was written through them, so that each forgets and announces as if it had done it itself.

What travels is whose (the key's fingerprint), which route and which ids: nothing of what was written, and no key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from secrets import token_hex
from typing import Any

from devin_mcp.api.models import Route
from devin_mcp.api.pending_writes import PendingWrites, WriteEvent
from devin_mcp.observability.log import event
from devin_mcp.operations import OPERATIONS
from devin_mcp.settings.setting import SettingsError

CHANNEL = "devin-mcp:writes"
BACKLOG = 10_000
"""Writes that wait for a broker that is slow; more are not told."""
LARGEST = 4096
"""Bytes of a message; ours have a few hundred."""
ASKED_AFTER = 10.0
"""Seconds of silence after which the broker is asked whether it is there."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
FOR_THE_REST = 1.0
"""Seconds at the end of the server for what has not been told yet."""


def check_bus() -> None:
    """Raises BadSetting where the library is missing."""
    if find_spec("redis") is None:
        raise SettingsError("--redis-url needs the extra redis: pip install 'devin-mcp[redis]'")


@asynccontextmanager
async def relay_writes(
    address: str, writes: PendingWrites, missed: Callable[[], None]
) -> AsyncIterator[None]:
    """Hand writes on to the other replicas and tell ours of theirs. `missed` is called when some may have been lost."""
    bus = _Bus(address, writes, missed)
    writes.relay = bus.tell
    tasks = [asyncio.ensure_future(bus.speak()), asyncio.ensure_future(bus.listen())]
    try:
        yield
    finally:
        writes.relay = None
        with suppress(TimeoutError):
            async with asyncio.timeout(FOR_THE_REST):
                await bus.all_told()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.aclose()


class _Bus:
    def __init__(self, address: str, writes: PendingWrites, missed: Callable[[], None]) -> None:
        from redis.asyncio import Redis

        self._redis: Any = Redis.from_url(
            address, socket_connect_timeout=5, socket_timeout=20, socket_keepalive=True
        )
        self._writes = writes
        self._missed = missed
        self._own = token_hex(8)
        self._queue: asyncio.Queue[str] = asyncio.Queue(BACKLOG)
        self._retry_delay = FIRST_PAUSE

    def tell(self, written: WriteEvent) -> None:
        message = {
            "from": self._own,
            "owner": written.owner,
            "route": str(written.route),
            "ids": dict(written.ids),
        }
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(json.dumps(message))

    async def all_told(self) -> None:
        await self._queue.join()

    async def aclose(self) -> None:
        with suppress(OSError, RuntimeError):
            await self._redis.aclose()

    async def speak(self) -> None:
        from redis.exceptions import RedisError

        while True:
            message = await self._queue.get()
            pause = FIRST_PAUSE
            while True:
                try:
                    await self._redis.publish(CHANNEL, message)
                    break
                except (RedisError, OSError):  # the listening side says so in the log
                    await asyncio.sleep(pause)
                    pause = min(LONGEST_PAUSE, pause * 2)
            self._queue.task_done()

    async def listen(self) -> None:
        from redis.exceptions import RedisError

        pause, connected_before = FIRST_PAUSE, False
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    event("replication", outcome="connected")
                    if connected_before:
                        self._missed()
                    pause, connected_before = FIRST_PAUSE, True
                    while True:  # not listen(): a connection that died without a word is noticed by asking now and then
                        message = await channel.get_message(
                            ignore_subscribe_messages=True, timeout=ASKED_AFTER
                        )
                        if message is None:
                            await channel.ping()
                        elif message["type"] == "message":
                            self._hear(message["data"])
            except (RedisError, OSError) as trouble:
                event(
                    "replication",
                    level="warning",
                    outcome="lost",
                    error=type(trouble).__name__,
                    retry_in_s=pause,
                )
            except Exception as trouble:  # noqa: BLE001 - named in the log; a bus that falls silent would not be noticed
                event(
                    "replication",
                    level="error",
                    outcome="lost",
                    error=type(trouble).__name__,
                    retry_in_s=pause,
                )
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _hear(self, data: bytes) -> None:
        """Whoever can write to the broker can make us read again, and nothing worse."""
        try:
            if len(data) > LARGEST:
                raise ValueError("too large")
            message = json.loads(data)
            if message["from"] == self._own:
                return
            ids = {str(name): str(value) for name, value in message["ids"].items()}
            written = WriteEvent(str(message["owner"]), Route.parse(message["route"]), ids)
            if not any(one.v1 == written.route for one in OPERATIONS):
                raise ValueError("no such route")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            event("replication", level="warning", outcome="unreadable")
            return
        self._writes.tell(written)
