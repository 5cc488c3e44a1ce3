"""Records the notifications of changes that a client receives, in either protocol era."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from mcp import MCPDeprecationWarning

from tests.conftest import Era, ToolClient

SETTLE_SECONDS = 0.03
"""How long a notification that nobody expects gets to arrive."""


class NotificationRecorder:
    """Notifications as words: `resources`, `prompts`, or the URI of the resource that changed."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def legacy_events(self, era: Era) -> list[Any] | None:
        """The list for `connect(notifications=...)`; None in the modern era, which has streams."""
        return self.events if era == "legacy" else None

    @property
    def received(self) -> list[str]:
        return [_word(event) for event in self.events]

    async def expect(self, *words: str, within: float = 2) -> None:
        """Exactly these arrive, in any order; then the record is empty again."""
        with anyio.move_on_after(within):
            while len(self.received) < len(words):  # noqa: ASYNC110 - filled by a task
                await anyio.sleep(0.005)
        await anyio.sleep(SETTLE_SECONDS)
        assert sorted(self.received) == sorted(words)
        self.events.clear()


def _word(event: Any) -> str:
    inner = getattr(event, "root", event)
    uri = getattr(inner, "uri", None) or getattr(getattr(inner, "params", None), "uri", None)
    return str(uri) if uri else "prompts" if "Prompt" in type(inner).__name__ else "resources"


@asynccontextmanager
async def subscribe(
    client: ToolClient, recorder: NotificationRecorder, era: Era, *uris: str
) -> AsyncIterator[None]:
    """Subscribe to both lists and to these resources, as clients of this era do."""
    if era == "legacy":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            for uri in uris:
                await client.sdk.subscribe_resource(uri)
            yield
            for uri in uris:
                await client.sdk.unsubscribe_resource(uri)
        return
    stream: AbstractAsyncContextManager[Any] = client.sdk.listen(
        resources_list_changed=True, prompts_list_changed=True, resource_subscriptions=uris
    )
    async with stream as events, anyio.create_task_group() as group:

        async def record() -> None:
            async for event in events:
                recorder.events.append(event)

        group.start_soon(record)
        yield
        group.cancel_scope.cancel()
