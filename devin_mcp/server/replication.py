"""Replication: replicas publish their writes over Redis, so that each drops stale data and notifies
its subscribers.

A message contains the tenant (a hash), the operation id and the ids: nothing of what was written,
and no key.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from secrets import token_hex
from typing import Any, Literal

from devin_mcp.api.pending_writes import PendingWrites, WriteEvent
from devin_mcp.observability.log import event
from devin_mcp.operations.catalog import toolset_of
from devin_mcp.settings import SettingsError

CHANNEL = "devin-mcp:writes"
MAX_QUEUED_WRITES = 10_000
"""Writes that wait for a slow broker; more are not published."""
MAX_MESSAGE_BYTES = 4096
"""Messages of ours have a few hundred bytes."""
PING_SECONDS = 10.0
"""Without a message for so long, the broker is pinged."""
CONNECT_TIMEOUT = 5.0
SOCKET_TIMEOUT = 20.0
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 15.0
DRAIN_TIMEOUT = 1.0
"""Seconds at shutdown for writes that were not published yet."""


def check_redis_installed() -> None:
    """Raises SettingsError if the library is missing."""
    if find_spec("redis") is None:
        raise SettingsError("--redis-url needs the extra redis: pip install 'devin-mcp[redis]'")


@asynccontextmanager
async def replicate_writes(
    url: str, writes: PendingWrites, on_missed: Callable[[], None]
) -> AsyncIterator[None]:
    """Publish this process's writes and notify its listeners of other replicas' writes.

    `on_missed` is called when some may have been lost.
    """
    replication = _Replication(url, writes, on_missed)
    writes.publish = replication.enqueue
    tasks = [
        asyncio.ensure_future(replication.publish_loop()),
        asyncio.ensure_future(replication.subscribe_loop()),
    ]
    try:
        yield
    finally:
        writes.publish = None
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_TIMEOUT):
                await replication.drain()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await replication.aclose()


class _Replication:
    def __init__(self, url: str, writes: PendingWrites, on_missed: Callable[[], None]) -> None:
        from redis.asyncio import Redis

        self._redis: Any = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=SOCKET_TIMEOUT,
            socket_keepalive=True,
        )
        self._writes = writes
        self._on_missed = on_missed
        self._replica_id = token_hex(8)
        self._queue: asyncio.Queue[str] = asyncio.Queue(MAX_QUEUED_WRITES)

    def enqueue(self, write: WriteEvent) -> None:
        message = {
            "from": self._replica_id,
            "tenant": write.tenant,
            "operation_id": write.operation_id,
            "ids": dict(write.ids),
        }
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(json.dumps(message))

    async def drain(self) -> None:
        await self._queue.join()

    async def aclose(self) -> None:
        with suppress(OSError, RuntimeError):
            await self._redis.aclose()

    async def publish_loop(self) -> None:
        from redis.exceptions import RedisError

        while True:
            message = await self._queue.get()
            backoff = FIRST_BACKOFF_SECONDS
            while True:
                try:
                    await self._redis.publish(CHANNEL, message)
                    break
                except (RedisError, OSError):  # the subscribing side logs it
                    await asyncio.sleep(backoff)
                    backoff = min(MAX_BACKOFF_SECONDS, backoff * 2)
            self._queue.task_done()

    async def subscribe_loop(self) -> None:
        from redis.exceptions import RedisError

        backoff, was_connected = FIRST_BACKOFF_SECONDS, False
        while True:
            try:
                async with self._redis.pubsub() as channel:
                    await channel.subscribe(CHANNEL)
                    event("replication", outcome="connected")
                    if was_connected:
                        self._on_missed()
                    backoff, was_connected = FIRST_BACKOFF_SECONDS, True
                    await self._receive(channel)
            except (RedisError, OSError) as error:
                _log_lost(error, backoff, level="warning")
            except Exception as error:  # noqa: BLE001 - logged; a silent stop would go unnoticed
                _log_lost(error, backoff, level="error")
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF_SECONDS, backoff * 2)

    async def _receive(self, channel: Any) -> None:
        """Not `channel.listen()`: only a ping notices a connection that died silently."""
        while True:
            message = await channel.get_message(
                ignore_subscribe_messages=True, timeout=PING_SECONDS
            )
            if message is None:
                await channel.ping()
            elif message["type"] == "message":
                self._on_message(message["data"])

    def _on_message(self, data: bytes) -> None:
        """Messages are untrusted: a forged one can at most invalidate a cache entry."""
        try:
            if len(data) > MAX_MESSAGE_BYTES:
                raise ValueError("too large")
            message = json.loads(data)
            if message["from"] == self._replica_id:
                return
            ids = {str(name): str(value) for name, value in message["ids"].items()}
            operation_id = str(message["operation_id"])
            toolset_of(operation_id)  # KeyError for an unknown operation
            write = WriteEvent(str(message["tenant"]), operation_id, ids)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            event("replication", level="warning", outcome="unreadable")
            return
        self._writes.notify(write)


def _log_lost(error: Exception, backoff: float, *, level: Literal["warning", "error"]) -> None:
    event(
        "replication",
        level=level,
        outcome="lost",
        error=type(error).__name__,
        retry_in_s=backoff,
    )
