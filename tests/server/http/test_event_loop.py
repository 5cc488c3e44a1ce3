"""No input, of a caller or of Devin, keeps the event loop from serving others for long."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest

from devin_mcp.keys import DevinApi
from tests.e2e.processes import tool_environment
from tests.http_client import ACCEPT
from tests.upstream import KEYS, Fault, Upstream, answer

MAX_BLOCKED_SECONDS = 0.1
TRIES = 10
"""The shortest of several times counts: the machine may be busy with other tests."""


@dataclass
class Case:
    """A call, and what Devin answers to it."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    operation_id: str = ""
    method: str = "tools/call"


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def rows(row: bytes, count: int, names: tuple[bytes, ...] = (b"items", b"sessions")) -> Fault:
    """A list with this row so many times, under the names of both APIs."""
    lists = b", ".join(b'"%s": [%s]' % (name, b",".join([row] * count)) for name in names)
    return answer(200, b'{%s, "has_next_page": false}' % lists)


def schema(value: Any) -> Case:
    return Case("create_session", {"prompt": "p", "structured_output_schema": value})


def sessions(fault: Fault) -> Case:
    return Case("list_sessions", {"limit": 1000}, fault, "list_sessions")


def download(charset: str, data: bytes) -> Case:
    fault = answer(200, data, content_type=f"text/plain; charset={charset}")
    url = "https://app.devin.ai/attachments/1234/a.txt"
    return Case("download_attachment", {"url": url}, fault, "download_attachment")


MIXED = [item for number in range(6000) for item in (number, str(number))]
NOTE = json.dumps(
    {"id": "note-1", "note_id": "note-1", "name": "n", "trigger": "t", "body": "x" * 10_000}
)
ROW = b'{"session_id": "devin-1", "status": "working", "title": "t", "tags": ["a"]}'
PUNYCODE = b"x-" + b"a" * 262_000
"""Each letter inserts a character, and copies all that came before."""
CASES: dict[str, Case] = {
    "schema 250 deep": schema(nested(250)),
    "schema 5,000 deep": schema(json.dumps({"a": 0}).replace("0", "[" * 5000 + "]" * 5000)),
    "brackets in a pattern": schema({"pattern": "(" * 3000 + ")" * 3000}),
    "52 KB of types": schema({"type": MIXED[:8600]}),
    "enum of mixed values": schema({"enum": MIXED[:1900]}),
    "required names": schema({"required": [str(number) for number in range(1900)]}),
    "many patterns": schema({"allOf": [{"pattern": "(a|b)*" * 150}] * 60}),
    "many schemas": schema({"allOf": [{"type": "object"}] * 1900}),
    "many wrong schemas": schema({"properties": {f"p{n}": 5 for n in range(4000)}}),
    "many references": schema({"allOf": [{"$ref": "#/a/b/c"}] * 1900, "a": {"b": {"c": {}}}}),
    "text of 4 MB": Case("upload_attachment", {"name": "a", "content": "x" * 3_900_000}),
    "emoji of 2 MB": Case("upload_attachment", {"name": "a", "content": "😀" * 500_000}),
    "base64 of 4 MB": Case(
        "upload_attachment", {"name": "a", "content": "AAAA" * 950_000, "encoding": "base64"}
    ),
    "no base64": Case(
        "upload_attachment", {"name": "a", "content": "AAAA " * 700_000 + "ß", "encoding": "base64"}
    ),
    "long unknown argument": Case("list_sessions", {"x" * 1_000_000: 1}),
    "many unknown arguments": Case("list_sessions", {f"limi{n}": 1 for n in range(20_000)}),
    "list in a text": Case("wait_for_sessions", {"session_ids": f"[{'[],' * 1_300_000}[]]"}),
    "schema in a text": schema(f'{{"enum": [{"1," * 1_900_000}1]}}'),
    "many ids": Case("wait_for_sessions", {"session_ids": ["devin-1"] * 40_000}),
    "wrong ids": Case("wait_for_sessions", {"session_ids": [[]] * 20_000}),
    "long id": Case("get_session", {"session_id": "a." * 1_000_000}),
    "long repository": Case("delegate_task", {"prompt": "p", "repository": "a/" * 1_000_000}),
    "long search": Case("list_knowledge", {"search": "a b " * 500_000}),
    "long prompt": Case("create_session", {"prompt": "p " * 1_000_000}),
    "long playbook": Case("delegate_task", {"prompt": "p", "playbook": "fix " * 120}),
    "long uri": Case("", {"uri": "devin://sessions/" + "a" * 1_000_000}, method="resources/read"),
    "long completion": Case(
        "",
        {
            "ref": {"type": "ref/resource", "uri": "devin://playbooks/{playbook_id}"},
            "argument": {"name": "playbook_id", "value": "fix " * 250_000},
        },
        method="completion/complete",
    ),
    "million rows": sessions(rows(b"{}", 1_000_000)),
    "million numbers": sessions(rows(b"1", 1_000_000)),
    "numbers for rows": sessions(rows(b"1", 140_000)),
    "empty rows": sessions(rows(b"{}", 5_900)),
    "rows": sessions(rows(ROW, 5_900)),
    "rows with odd fields": sessions(rows(ROW.replace(b'"t"', b"{}").replace(b'"a"', b"5"), 2_900)),
    "row with a long title": sessions(rows(ROW.replace(b'"t"', b'"%s"' % (b"t " * 2_000_000)), 1)),
    "long integers": sessions(
        answer(200, b'{"items": [], "x": [' + b",".join([b"9" * 4000] * 5000) + b"]}")
    ),
    "deep answer": sessions(answer(200, b'{"items": ' + b"[" * 100_000)),
    "50 MB of notes": Case(
        "list_knowledge",
        {},
        rows(NOTE.encode(), 2_500, (b"items", b"knowledge")),
        "list_knowledge",
    ),
    "long reason": Case(
        "create_session",
        {"prompt": "a b c d e f g " * 2000},
        answer(422, {"detail": "a b c d e f g h " * 200_000}),
        "create_session",
    ),
    "many reasons": Case(
        "create_session",
        {"prompt": "p"},
        answer(422, {"detail": [{"loc": ["body", "tags"], "msg": "no"}] * 9_000}),
        "create_session",
    ),
    "long page": sessions(answer(403, b"<html>" + b"out of quota " * 1_000_000)),
    "punycode": download("punycode", PUNYCODE),
    "idna": download("idna", b"xn--a." * 87_000),
    "unicode_escape": download("unicode_escape", b"\\u0041" * 87_000),
    "utf-7": download("utf-7", b"+AEE-" * 100_000),
    "utf-16": download("utf-16", b"a\x00" * 262_000),
    "shift_jis": download("shift_jis", b"\x82\xa0" * 262_000),
    "secrets in a file": download("utf-8", b"apk_user_0123456789abcdef " * 20_000),
    "almost secrets in a file": download("utf-8", b"apk_" * 131_000),
}


@pytest.fixture
async def server(upstream: Upstream) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.server.http.watched_server",
        env={**tool_environment(), "DEVIN_BASE_URL": upstream.url},  # coverage slows it down
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


async def test_no_input_blocks_the_event_loop(
    server: str, upstream: Upstream, api: DevinApi
) -> None:
    headers = {**ACCEPT, "X-Devin-Api-Key": KEYS[api], "mcp-protocol-version": "2025-11-25"}
    blocked: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=server, timeout=60) as http:

        async def call(case: Case) -> str:
            upstream.clear_faults()
            if case.fault is not None:
                upstream.fail_operation(case.operation_id, *[case.fault] * 60)
            params = case.arguments
            if case.tool:
                params = {"name": f"devin_{case.tool}", "arguments": case.arguments}
            body = {"jsonrpc": "2.0", "id": 1, "method": case.method, "params": params}
            await http.get("/blocked")
            reply = await http.post("/mcp", json=body, headers=headers)
            blocked_now: float = (await http.get("/blocked")).json()
            blocked[name] = min(blocked.get(name, blocked_now), blocked_now)
            return reply.text

        name = "warm-up"
        await call(CASES["rows"])
        await call(CASES["many schemas"])
        for name, case in CASES.items():
            with anyio.fail_after(60):
                for _ in range(TRIES):
                    text = await call(case)
                    assert "a bug in it" not in text, name
                    if blocked[name] < MAX_BLOCKED_SECONDS:
                        break
    del blocked["warm-up"]
    slow = {
        name: round(seconds, 3)
        for name, seconds in blocked.items()
        if seconds > MAX_BLOCKED_SECONDS
    }
    assert slow == {}
