"""Hostile input to the built command over HTTP: it answers, it tells nothing, it lives."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import given as for_any
from hypothesis import strategies as st
from mcp import MCPError
from mcp.types import ElicitResult

from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings.settings import resolve
from tests.conftest import Era, text_of
from tests.e2e.processes import Process, running
from tests.http_client import ACCEPT, PING, visiting

KEY = {"X-Devin-Api-Key": "apk_user_hostile_1"}
SCHEMAS = {
    tool["name"]: tool["inputSchema"]
    for tool in published_tools(visible_tools(resolve({}, {}), "http"))
}
MODERN = "2026-07-28"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Process, str]]:
    """At the end it must still serve, and must have had no trouble of its own."""
    command = [
        "http",
        "--sandbox",
        "--port",
        "0",
        "--auth",
        "caller-key",
        "--max-sessions",
        "10000",
        "--log-format",
        "json",
    ]
    async with running(*command, "--max-calls-per-caller", "100") as process:
        url = (await process.logged("serving"))["url"]
        draining = asyncio.ensure_future(_drain(process))
        yield process, url
        async with httpx.AsyncClient(timeout=20) as web:
            assert (await web.post(url, json=PING, headers=ACCEPT | KEY)).status_code == 200, (
                "it lives"
            )
        process.process.terminate()
        await draining
    for trace in (b"Traceback", b'"crash"', b'"crashed"'):
        assert trace not in process.stderr


async def _drain(process: Process) -> None:
    assert process.process.stderr is not None
    while line := await process.process.stderr.readline():
        process.stderr += line


def meta() -> dict[str, Any]:
    return {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


BODIES: list[bytes] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"[[[[",
    b"5",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"1" * 5000,
    b"NaN",
    b'{"jsonrpc":"2.0"}',
    b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":5}',
    b'{"jsonrpc":"2.0","id":1,"method":"no/such"}',
    b'{"jsonrpc":"2.0","id":1,"result":{}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"devin_list_sessions","arguments":"x"}}',
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"devin_get_session","arguments":{"session_id":"\\ud800"}}}',
    b'{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
]

VERSIONS: list[dict[str, str]] = [
    {},
    {"mcp-protocol-version": "2025-11-25"},
    {"mcp-protocol-version": MODERN},
    {"mcp-protocol-version": "1999-01-01"},
    {"mcp-protocol-version": "x" * 3000},
    {"mcp-protocol-version": MODERN, "mcp-method": "tools/list", "mcp-name": "\\..\\"},
    {"mcp-protocol-version": MODERN, "mcp-method": "subscriptions/listen"},
    {"mcp-session-id": "../../etc/passwd"},
    {"accept": "text/plain"},
    {"content-type": "text/xml"},
    {"content-encoding": "gzip"},
]


async def test_bad_messages_in_bad_envelopes_are_answered_with_errors(
    server: tuple[Process, str],
) -> None:
    _, url = server
    async with httpx.AsyncClient(timeout=20) as web:
        for given in VERSIONS:
            for body in BODIES:
                answer = await web.post(
                    url,
                    content=body,
                    headers={**ACCEPT, "content-type": "application/json", **KEY, **given},
                )
                assert answer.status_code < 500 or answer.status_code == 501, (
                    given,
                    body[:80],
                    answer.status_code,
                    answer.text[:200],
                )
                assert "Traceback" not in answer.text
                assert "devin_mcp" not in answer.text.replace("devin_mcp-", "")


async def test_a_body_that_breaks_off_is_nobodys_trouble(server: tuple[Process, str]) -> None:
    _, url = server
    host, port = url.split("/")[2].split(":")
    for sent in (b'{"jsonrpc":"2.0",', b""):
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nx-devin-api-key: {KEY['X-Devin-Api-Key']}\r\n"
        writer.write(f"{head}content-length: 500\r\n\r\n".encode() + sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with visiting(url, KEY) as client:
        assert len((await client.ok("list_secrets"))["secrets"]) == 2


async def test_no_spelling_of_the_path_leads_past_the_door(server: tuple[Process, str]) -> None:
    """The SDK's route matches a path with a line break behind it, too; ours must not."""
    _, url = server
    host, port = url.split("/")[2].split(":")
    for path in (
        "/mcp%0a",
        "/mcp%0A",
        "/mcp%0d%0a",
        "//mcp",
        "/./mcp",
        "/mcp;x",
        "/%6dcp",
        "/mcp/",
        "/mcp/x",
        "/MCP",
        "/mcp%00",
        "/mcp%2f",
    ):
        for method in ("POST", "GET", "HEAD", "OPTIONS", "DELETE", "PUT"):
            reader, writer = await asyncio.open_connection(host, int(port))
            body = (
                json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
                if method == "POST"
                else b""
            )
            head = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            async with asyncio.timeout(5):
                status = (await reader.readline()).split()[1]
            writer.close()
            assert status in {b"400", b"403", b"404", b"405"}, (method, path, status)


async def test_bodies_that_nobody_wants_hold_no_connection(server: tuple[Process, str]) -> None:
    _, url = server
    host, port = url.split("/")[2].split(":")
    for line in ("POST /healthz", "GET /healthz", "PUT /mcp", "POST /nowhere"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"{line} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 100000000\r\n\r\n{{".encode()
        )
        await writer.drain()
        async with asyncio.timeout(8):
            found = await reader.read()  # until the server closes
        assert found.startswith(b"HTTP/1.1 400"), line
        writer.close()


WANDERING = [
    "../secrets/secret-0001",
    "..",
    ".",
    "%2e%2e",
    "..%2fsecrets",
    "devin-1/../../secrets",
    "devin-1?x=1",
    "devin-1#x",
    "a b",
    "\u202e",
    "a" * 5000,
    "",
    "devin-1\n",
    "\x00",
    "http://evil.example/",
    "devin://sessions/x",
    "..\\secrets",
    ";rm",
    "\uff44\uff45\uff56",
]


async def test_no_id_leads_anywhere_else(server: tuple[Process, str], era: Era) -> None:
    _, url = server
    places = [
        (name, argument)
        for name, schema in SCHEMAS.items()
        for argument in schema["properties"]
        if argument
        in {"session_id", "note_id", "playbook_id", "secret_id", "folder_id", "uuid", "snapshot_id"}
    ]
    assert len(places) > 10
    async with visiting(url, KEY, era=era) as client:
        before = await client.ok("list_secrets")
        for name, argument in places:
            for text in WANDERING:
                given = {
                    argument: text,
                    "name": "n",
                    "title": "t",
                    "body": "b",
                    "message": "m",
                    "prompt": "p",
                    "tags": [],
                }
                known = {
                    key: value for key, value in given.items() if key in SCHEMAS[name]["properties"]
                }
                result = await client(name.removeprefix("devin_"), **known)
                assert result.is_error, (name, argument, text)
                assert "does not know" not in text_of(result), "it never left"
        assert (await client.ok("list_secrets"))["secrets"] == before["secrets"]
        for text in WANDERING:
            with pytest.raises((MCPError, ValueError)):
                await client.sdk.read_resource(f"devin://sessions/{text}")


async def test_sealed_questions_are_good_for_nothing_else(server: tuple[Process, str]) -> None:
    """What a client brings back is taken apart, replayed, mixed up and made up: nothing is deleted."""
    _, url = server
    async with httpx.AsyncClient(timeout=20) as web:

        async def delete(secret: str, key: dict[str, str] = KEY, **more: Any) -> dict[str, Any]:
            capable = meta() | {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}
            params = {
                "name": "devin_delete_secret",
                "arguments": {"secret_id": secret},
                "_meta": capable,
                **more,
            }
            headers = {
                "mcp-protocol-version": MODERN,
                "mcp-method": "tools/call",
                "mcp-name": "devin_delete_secret",
            }
            answer = await web.post(
                url,
                json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
                headers={**ACCEPT, **headers, **key},
            )
            assert answer.status_code < 500
            found: dict[str, Any] = answer.json()
            return found

        asked = (await delete("secret-0001"))["result"]
        state = asked["requestState"]
        agreed: dict[str, Any] = {
            "inputResponses": {
                "confirm": ElicitResult(action="accept", content={}).model_dump(by_alias=True)
            }
        }
        flipped = state[:-6] + ("A" if state[-6] != "A" else "B") + state[-5:]
        for found in (
            await delete("secret-0002", requestState=state, **agreed),
            await delete(
                "secret-0001", {"X-Devin-Api-Key": "apk_user_other_9"}, requestState=state, **agreed
            ),
            await delete("secret-0001", requestState=flipped, **agreed),
            await delete("secret-0001", requestState="", **agreed),
            await delete("secret-0001", requestState="x" * 100_000, **agreed),
            await delete("secret-0001", requestState=base64.b64encode(b"asked").decode(), **agreed),
        ):
            assert (
                "error" in found
                or found["result"].get("isError")
                or "requestState" in found["result"]
            ), found
        async with visiting(url, KEY) as client:
            assert len((await client.ok("list_secrets"))["secrets"]) == 2
        assert (await delete("secret-0001", requestState=state, **agreed))["result"][
            "structuredContent"
        ]["deleted"] is True


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What fits a published schema. Those are plain by law, so Hypothesis needs no more than this to draw from them."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            required, parts = (
                schema.get("required", []),
                {name: fitting(part) for name, part in schema["properties"].items()},
            )
            return st.fixed_dictionaries(
                {name: parts[name] for name in required},
                optional={name: part for name, part in parts.items() if name not in required},
            )
        case "object":
            return st.dictionaries(st.text(max_size=10), ANYTHING, max_size=4)
        case "array":
            return st.lists(
                fitting(schema["items"]),
                min_size=schema.get("minItems", 0),
                max_size=schema.get("maxItems", 60),
            )
        case "integer":
            return st.integers(schema.get("minimum", -5), schema.get("maximum"))
        case "boolean":
            return st.booleans()
    return st.text(max_size=60) | st.from_regex(r"\A[a-z]+-[0-9a-f]{1,32}\Z")


def arguments_for(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """What fits the published schema, what has its names and anything in them, and what has neither."""
    named = st.dictionaries(
        st.sampled_from([*schema["properties"], "nonsense"]), ANYTHING, max_size=6
    )
    return st.one_of(
        fitting(schema), named, st.dictionaries(st.text(max_size=12), ANYTHING, max_size=3)
    )


def writable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize("tool", SCHEMAS)
async def test_whatever_a_model_writes_gets_an_answer(
    server: tuple[Process, str], tool: str
) -> None:
    """Fifty cases for each tool and era; together more than two thousand."""
    _, url = server
    cases: list[dict[str, Any]] = []

    @settings(
        max_examples=50,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @for_any(arguments_for(SCHEMAS[tool]).filter(writable))
    def gather(arguments: dict[str, Any]) -> None:
        cases.append(arguments)

    gather()
    assert len(cases) >= 40
    eras: tuple[Era, Era] = ("auto", "legacy")
    async with visiting(url, {"X-Devin-Api-Key": "apk_user_foreign_2"}) as other:
        await other.ok(
            "create_session", prompt="FOREIGNMARK", title="FOREIGNMARK", tags=["FOREIGNMARK"]
        )
        await other.ok("create_playbook", title="FOREIGNMARK", body="FOREIGNMARK")
        await other.ok(
            "create_knowledge",
            name="FOREIGNMARK",
            body="FOREIGNMARK",
            trigger_description="FOREIGNMARK",
        )
    for era in eras:
        async with visiting(url, KEY, era=era) as client:
            for arguments in cases:
                given = {
                    name: min(value, 1)
                    if name == "max_wait_s" and isinstance(value, int)
                    else value
                    for name, value in arguments.items()
                }
                result = (
                    await client(tool.removeprefix("devin_"), arguments=given)
                    if False
                    else await client.sdk.call_tool(tool, given)
                )
                text = str(result)
                assert "bug in it" not in text
                assert "FOREIGNMARK" not in text
                assert "Traceback" not in text
