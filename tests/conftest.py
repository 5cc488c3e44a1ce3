"""Fixtures for all tests: the fake Devin, clocks that tests drive, clients of both eras."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.session import ElicitationFnT
from mcp.types import CallToolResult, Resource, TextContent, TextResourceContents

from devin_mcp.keys import DevinApi
from devin_mcp.observability import log, log_config
from devin_mcp.server.build import build
from devin_mcp.settings import Settings, resolve
from tests.clock import AutoClock, ManualClock
from tests.containers import unmount_storage
from tests.packaging.installed import RUN_DIRECTORY
from tests.third_party import processes
from tests.upstream import KEY, KEYS, Upstream, start_upstream

pytest_plugins = ["tests.coverage_rules"]

Era = Literal["auto", "legacy"]
Logs = Callable[[], list[dict[str, Any]]]


def pytest_configure() -> None:
    """Make the directory that all workers share: the built wheel, installations, uv's cache."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        directory = Path(tempfile.mkdtemp(prefix="devin-mcp-tests-"))
        directory.chmod(0o755)
        os.environ[RUN_DIRECTORY] = str(directory)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """`-n auto` starts two workers more than there are cores: many tests wait for a process."""
    return (os.cpu_count() or 1) + 2


def pytest_unconfigure() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        directory = os.environ.pop(RUN_DIRECTORY)
        unmount_storage(Path(directory))
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def node() -> str:
    """The Node that runs the third-party packages; without it the test is skipped."""
    try:
        return processes.find_node()
    except LookupError as reason:
        processes.skip_or_fail(str(reason))


@pytest.fixture(params=["auto", "legacy"], ids=["2026", "2025"])
def era(request: pytest.FixtureRequest) -> Era:
    """Both protocol eras, as the SDK's client calls them."""
    era: Era = request.param
    return era


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `api` on both APIs, or on the one that its mark one_api names.

    A test that parametrizes `api` itself is left alone.
    """
    marks = metafunc.definition.iter_markers("parametrize")
    is_own = any(re.search(r"\bapi\b", str(mark.args[0])) for mark in marks)
    if "api" in metafunc.fixturenames and not is_own:
        mark = metafunc.definition.get_closest_marker("one_api")
        metafunc.parametrize("api", [mark.args[0]] if mark else ["v1", "v3"], indirect=True)


@pytest.fixture
def api(request: pytest.FixtureRequest) -> DevinApi:
    """Both APIs of Devin: `connect` uses a key of this one. Both keys share one organization."""
    api: DevinApi = request.param
    return api


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Returns everything logged so far, at debug level, as parsed JSON lines."""
    stream = io.StringIO()
    log_config.configure("debug", "json", stream)

    def lines() -> list[dict[str, Any]]:
        log.flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield lines
    log_config.configure("error", "json", io.StringIO())


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the proxies of the test run."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def clock() -> AutoClock:
    return AutoClock()


@pytest.fixture
def manual_clock(upstream: Upstream) -> ManualClock:
    """A clock that only the test advances, for calls that wait side by side."""
    clock = ManualClock()
    clock.on_skip.append(upstream.sandbox.clock.advance)
    clock.requests = lambda: (len(upstream.requests), upstream.in_flight)
    return clock


@pytest.fixture
async def upstream(clock: AutoClock) -> AsyncIterator[Upstream]:
    """The fake Devin behind a real socket; its clock advances with `clock`."""
    async with start_upstream() as upstream:
        clock.on_skip.append(upstream.sandbox.clock.advance)
        yield upstream


class ToolClient:
    """A connected SDK client with short methods for tool calls."""

    def __init__(self, client: Client) -> None:
        self.sdk = client

    async def __call__(self, tool: str, **arguments: Any) -> CallToolResult:
        result = await self.sdk.call_tool(f"devin_{tool}", arguments)
        assert isinstance(result, CallToolResult)
        return result

    async def ok(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of a call that must succeed; its text must be the same JSON."""
        result = await self(tool, **arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        assert json.loads(text_of(result)) == result.structured_content
        return dict(result.structured_content)

    async def read(self, uri: str) -> str:
        """The text of a resource, bypassing the client's cache."""
        (content,) = (await self.sdk.read_resource(uri, cache_mode="bypass")).contents
        assert isinstance(content, TextResourceContents)
        assert (content.uri, content.mime_type) == (uri, "text/markdown")
        return content.text

    async def resources(self) -> list[Resource]:
        """All pages of resources/list."""
        resources: list[Resource] = []
        cursor = None
        while True:
            page = await self.sdk.list_resources(cursor=cursor, cache_mode="bypass")
            resources += page.resources
            cursor = page.next_cursor
            if cursor is None:
                return resources

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


def settings_for(upstream: Upstream, **overrides: Any) -> Settings:
    """Settings as the command line makes them, with the upstream as Devin.

    `overrides` are flags by setting name, and environment variables by upper-case name.
    """
    flags = {
        name: [str(part) for part in (value if isinstance(value, list) else [value])]
        for name, value in overrides.items()
    }
    environment = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": upstream.url}
    environment |= {name: flags.pop(name)[0] for name in list(flags) if name.isupper()}
    return resolve(flags, environment)


@pytest.fixture
def connect(request: pytest.FixtureRequest, upstream: Upstream, clock: AutoClock) -> Connect:
    """`async with connect(read_only=True) as client:` connects in memory to such a server.

    A test that takes `api` runs on both APIs; one marked `one_api` on that one; any other on v1.

    `manual_clock` replaces `clock`; notifications to a legacy client are appended to
    `notifications`; `ask` answers elicitation requests.
    """
    mark = request.node.get_closest_marker("one_api")
    api: DevinApi = mark.args[0] if mark else "v1"
    if "api" in request.fixturenames:
        api = request.getfixturevalue("api")

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
        **overrides: Any,
    ) -> AsyncIterator[ToolClient]:
        overrides.setdefault("DEVIN_API_KEY", KEYS[api])
        server = build(
            settings_for(upstream, **overrides),
            transport,
            clock=manual_clock or clock,
            deadline=deadline,
            grace=grace,
        )

        async def on_message(message: Any) -> None:
            if notifications is not None:
                notifications.append(message)

        async with Client(
            server, mode=era, message_handler=on_message, elicitation_callback=ask
        ) as client:
            yield ToolClient(client)

    return connected


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory for the setting files_root."""
    root = tmp_path / "allowed"
    root.mkdir()
    return root
