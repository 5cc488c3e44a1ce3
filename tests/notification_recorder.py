"""What a client is told of changes, gathered the way clients of either era get it."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
from mcp import MCPDeprecationWarning

from tests.conftest import Era, ToolClient


class NotificationRecorder:
    """What a client was told, in either era, as `resources`, `prompts` or the address that changed."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def old(self, era: Era) -> list[Any] | None:
        """Where an older client puts what it gets; a newer one's stream is gathered below."""
        return self.heard if era == "legacy" else None

    @property
    def told(self) -> list[str]:
        return [_word(one) for one in self.heard]

    async def hears(self, *words: str, within: float = 2) -> None:
        """Just these, in any order, and nothing else."""
        with anyio.move_on_after(within):
            while len(self.told) < len(words):  # noqa: ASYNC110 - what comes is appended by the client's own task
                await anyio.sleep(0.005)
        await anyio.sleep(0.03)
        assert sorted(self.told) == sorted(words)
        self.heard.clear()


def _word(event: Any) -> str:
    inner = getattr(event, "root", event)
    uri = getattr(inner, "uri", None) or getattr(getattr(inner, "params", None), "uri", None)
    return str(uri) if uri else "prompts" if "Prompt" in type(inner).__name__ else "resources"


@asynccontextmanager
async def watching(
    client: ToolClient, ears: NotificationRecorder, era: Era, *uris: str
) -> AsyncIterator[None]:
    """Listen to the lists and watch some addresses, as clients of this era do."""
    if era == "legacy":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            for uri in uris:
                await client.sdk.subscribe_resource(uri)
            yield
            for uri in uris:
                await client.sdk.unsubscribe_resource(uri)
        return
    listening: AbstractAsyncContextManager[Any] = client.sdk.listen(
        resources_list_changed=True, prompts_list_changed=True, resource_subscriptions=uris
    )
    async with listening as events, anyio.create_task_group() as group:

        async def gather() -> None:
            async for event in events:
                ears.heard.append(event)

        group.start_soon(gather)
        yield
        group.cancel_scope.cancel()
