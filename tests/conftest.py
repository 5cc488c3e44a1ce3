"""What every test may ask for: a Devin that can fail, a clock that can be driven, a real client in either era."""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.types import CallToolResult, Resource, TextContent, TextResourceContents

from devin_mcp.observability import log
from devin_mcp.server.build import build
from devin_mcp.settings.settings import Settings, resolve
from tests.clock import AutoClock, ManualClock
from tests.third_party import processes
from tests.upstream import KEY, Upstream, running_upstream

Era = Literal["auto", "legacy"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def node() -> str:
    """The Node that runs the witnesses; whoever asks for it is skipped where there are none, and fails where they are required."""
    try:
        return processes.node()
    except LookupError as reason:
        if os.environ.get("THIRD_PARTY_REQUIRED") == "1":
            pytest.fail(f"THIRD_PARTY_REQUIRED is set, but {reason}")
        pytest.skip(str(reason))


@pytest.fixture(params=["auto", "legacy"], ids=["2026", "2025"])
def era(request: pytest.FixtureRequest) -> Era:
    """Both protocol eras, as the client chooses them."""
    chosen: Era = request.param
    return chosen


@pytest.fixture
def logs() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Everything logged so far, at debug, as the JSON lines a log platform would get."""
    stream = io.StringIO()
    log.configure("debug", "json", stream)

    def written() -> list[dict[str, Any]]:
        log.flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield written
    log.configure("error", "json", io.StringIO())


@pytest.fixture
def clock() -> AutoClock:
    return AutoClock()


@pytest.fixture
def manual_clock(upstream: Upstream) -> ManualClock:
    """For those who wait side by side: the time passes only when the test lets it."""
    clock = ManualClock()
    clock.on_skip.append(upstream.sandbox.clock.advance)
    return clock


@pytest.fixture
async def upstream(clock: AutoClock) -> AsyncIterator[Upstream]:
    """The simulated Devin behind a real socket; its clock moves with the driven one."""
    async with running_upstream() as box:
        clock.on_skip.append(box.sandbox.clock.advance)
        yield box


class ToolClient:
    """A connected client with a short way to call."""

    def __init__(self, client: Client) -> None:
        self.sdk = client

    async def __call__(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await self.sdk.call_tool(f"devin_{tool}", arguments)
        assert isinstance(result, CallToolResult)
        return result

    async def ok(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a call that must succeed; the text must say the same."""
        result = await self(tool, **arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        assert json.loads(text_of(result)) == result.structured_content
        return dict(result.structured_content)

    async def read(self, uri: str) -> str:
        """The text of a resource, past the client's own cache."""
        (content,) = (await self.sdk.read_resource(uri, cache_mode="bypass")).contents
        assert isinstance(content, TextResourceContents)
        assert (content.uri, content.mime_type) == (uri, "text/markdown")
        return content.text

    async def resources(self) -> list[Resource]:
        """All pages of the list."""
        found: list[Resource] = []
        cursor = None
        while True:
            page = await self.sdk.list_resources(cursor=cursor, cache_mode="bypass")
            found += page.resources
            cursor = page.next_cursor
            if cursor is None:
                return found

    async def error(self, tool: str, **arguments: Any) -> str:
        """The text of a call that must fail."""
        result = await self(tool, **arguments)
        assert result.is_error, text_of(result)
        return text_of(result)

    async def create_session(self, prompt: str = "p", **arguments: Any) -> str:
        """The id of a new session."""
        return str((await self.ok("create_session", prompt=prompt, **arguments))["session_id"])

    async def list_all(self, tool: str, rows: str, **arguments: Any) -> list[dict[str, Any]]:
        """All pages of a list tool; `rows` is the field that contains them."""
        page = await self.ok(tool, **arguments)
        listed = list(page[rows])
        while "next_cursor" in page:
            page = await self.ok(tool, **arguments, cursor=page["next_cursor"])
            listed += page[rows]
        return listed


async def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds. For conditions that no event announces."""
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.005)


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


Connect = Callable[..., AbstractAsyncContextManager[ToolClient]]


def settings_for(upstream: Upstream, **given: Any) -> Settings:
    """Settings as the command line would make them, pointing at the upstream."""
    flags = {
        name: [str(part) for part in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
    }
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    environment |= {name: flags.pop(name)[0] for name in list(flags) if name.isupper()}
    return resolve(flags, environment)


@pytest.fixture
def connect(upstream: Upstream, clock: AutoClock) -> Connect:
    """`async with connect(read_only=True) as call:` a client in memory, on a server with these settings.

    `pace` drives its clock instead of `clock`; `heard` gathers the notifications that older clients get;
    `ask` is the person at the client.
    """

    @asynccontextmanager
    async def connected(
        *,
        era: Era = "auto",
        transport: Literal["stdio", "http"] = "stdio",
        deadline: float = 50,
        grace: float = 10,
        manual_clock: ManualClock | None = None,
        notifications: list[Any] | None = None,
        ask: ElicitationFnT | None = None,
        **given: Any,
    ) -> AsyncIterator[ToolClient]:
        server = build(
            settings_for(upstream, **given),
            transport,
            clock=manual_clock or clock,
            deadline=deadline,
            grace=grace,
        )

        async def hear(message: Any) -> None:
            if notifications is not None:
                notifications.append(message)

        async with Client(
            server, mode=era, message_handler=hear, elicitation_callback=ask
        ) as client:
            yield ToolClient(client)

    return connected


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory that may be allowed with files_root."""
    root = tmp_path / "allowed"
    root.mkdir()
    return root
