"""Real hosts delegate a task, unattended, with a scripted model.

Claude Code and Gemini CLI run as their users run them, with the permissions that docs/clients.md
gives. What a delegation costs is counted as in hosts.md §3: definitions, names, instructions,
arguments and results, in bytes of compact JSON, four to a token.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import pytest

from devin_mcp.cli.client_configs import rendered
from devin_mcp.cli.server_entry import ServerEntry
from devin_mcp.operations import OPERATIONS
from tests.e2e.processes import start_http_process
from tests.packaging.installed import SCRIPTS
from tests.third_party.hosts import host
from tests.third_party.scripted_model import Conversation, ScriptedModel, scripted_model

Transport = Literal["stdio", "http"]
PERSON_ASKS = "Let Devin refuse orders with a negative price."
MAX_CALLS = 4
MAX_RESULT_BYTES = 800
SNAPSHOTS = Path(__file__).parent / "host_sizes"
BYTES_PER_TOKEN = 4
MAX_TOKENS = {"claude": 2_000, "gemini": 4_500}
"""Gemini CLI has no search for tools: it shows each in full, and adds 260 bytes to it."""
INSTRUCTION_BYTES = {"claude": 1_800, "gemini": 1_100}
"""Of the instructions, which both show whole, and in Claude Code of the names of all tools."""

pytestmark = pytest.mark.usefixtures("node")
each_transport = pytest.mark.parametrize("transport", ["stdio", "http"])


@asynccontextmanager
async def configuration(client: str, transport: Transport) -> AsyncIterator[dict[str, Any]]:
    """What `devin-mcp config` writes for the sandbox."""
    if transport == "stdio":
        entry = ServerEntry(str(SCRIPTS / "devin-mcp"), ("--sandbox", "v3"))
        yield json.loads(rendered(client, entry))
        return
    async with start_http_process("--sandbox", "v3") as (_, url):
        yield json.loads(rendered(client, ServerEntry("", url=url, auth="none")))


async def run_host(name: str, home: Path, *words: str, **variables: str) -> str:
    """What the host prints, while the server and the model go on in this process."""
    return await anyio.to_thread.run_sync(lambda: host(name, home, *words, cwd=home, **variables))


async def run_claude(
    model: ScriptedModel, home: Path, transport: Transport, prompt: str = PERSON_ASKS
) -> str:
    config = home / "mcp.json"
    async with configuration("claude-code", transport) as content:
        (entry,) = content["mcpServers"].values()
        config.write_text(json.dumps({"mcpServers": {"devin": entry}}))
        words = ["-p", prompt, "--mcp-config", str(config), "--strict-mcp-config"]
        permission = ["--allowedTools", "mcp__devin__*"]
        keys = {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "sk-scripted"}
        return await run_host("claude", home, *words, *permission, **keys)


async def run_gemini(model: ScriptedModel, home: Path, transport: Transport) -> str:
    settings = home / ".gemini" / "settings.json"
    settings.parent.mkdir()
    async with configuration("gemini", transport) as content:
        (entry,) = content["mcpServers"].values()
        content["mcpServers"] = {"devin": entry | {"trust": True}}
        content["security"] = {
            "auth": {"selectedType": "gemini-api-key"},
            "folderTrust": {"enabled": False},
        }
        content["privacy"] = {"usageStatisticsEnabled": False}
        settings.write_text(json.dumps(content))
        words = ["-m", "gemini-2.5-flash", "-p", PERSON_ASKS]
        keys = {"GOOGLE_GEMINI_BASE_URL": model.url, "GEMINI_API_KEY": "scripted"}
        return await run_host("gemini", home, *words, **keys)


@dataclass(frozen=True)
class Cost:
    """What a delegation takes of the model's context, in bytes, and its calls."""

    definitions: int
    arguments: int
    results: int
    calls: int

    @classmethod
    def of(cls, conversation: Conversation) -> Cost:
        return cls(
            sum(_json_bytes(tool) for tool in conversation.own_tools),
            sum(_json_bytes(result.arguments) for result in conversation.results),
            sum(len(result.text.encode()) for result in conversation.results),
            len(conversation.results),
        )


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def assert_delegated(model: ScriptedModel, name: str) -> None:
    """All calls succeeded, the pull request came, and it cost no more than it may."""
    conversation = model.conversations[-1]
    assert not [result for result in conversation.results if result.is_error]
    assert "/pull/" in conversation.results[-1].text
    assert_sizes_equal_the_snapshot(conversation, name)
    assert max(len(result.text.encode()) for result in conversation.results) <= MAX_RESULT_BYTES
    cost = Cost.of(conversation)
    assert cost.calls <= MAX_CALLS
    total = cost.definitions + cost.arguments + cost.results + INSTRUCTION_BYTES[name]
    assert total / BYTES_PER_TOKEN <= MAX_TOKENS[name], cost


def assert_sizes_equal_the_snapshot(conversation: Conversation, name: str) -> None:
    """Bytes of the tools of a delegation, as the host shows them. `UPDATE_SNAPSHOTS=1` writes them.

    A new version of the host, or of a description, shows in the diff of the snapshot.
    """
    names = tuple(operation.tool_name for operation in OPERATIONS if operation.is_core)
    sizes = {
        shown_name: _json_bytes(tool)
        for shown_name, tool in sorted(conversation.tools.items())
        if shown_name.endswith(names)
    }
    assert len(sizes) == len(names)
    file = SNAPSHOTS / f"{name}.json"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(json.dumps(sizes, indent=1) + "\n")
    assert sizes == json.loads(file.read_text())


@each_transport
async def test_claude_code_delegates_a_task(tmp_path: Path, transport: Transport) -> None:
    with scripted_model() as model:
        output = await run_claude(model, tmp_path, transport)
    assert "The pull request is there." in output
    assert_delegated(model, "claude")
    shown_at_once = {tool["name"] for tool in model.conversations[0].own_tools}
    assert shown_at_once == set(json.loads((SNAPSHOTS / "claude.json").read_text()))


async def test_words_typed_after_a_command_are_the_whole_task(tmp_path: Path) -> None:
    words = "Refuse orders with a negative price"
    with scripted_model(lambda _: "No.") as model:
        await run_claude(model, tmp_path, "stdio", f"/mcp__devin__delegate {words}")
    text = model.conversations[0].text
    assert f"<command-args>{words}</command-args>" in text
    assert "Where the words that I typed with this command stand above, they are the task" in text
    assert "Repository: orders" not in text


@each_transport
async def test_gemini_cli_delegates_a_task(tmp_path: Path, transport: Transport) -> None:
    with scripted_model() as model:
        output = await run_gemini(model, tmp_path, transport)
    assert "The pull request is there." in output
    assert_delegated(model, "gemini")
    assert "wait_for_previous" in json.dumps(model.conversations[0].own_tools)
