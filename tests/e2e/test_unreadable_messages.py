"""Input that is no message of the protocol is answered with its error, on both transports."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from mcp.types import INVALID_REQUEST, PARSE_ERROR

from devin_mcp.server.unreadable_messages import message_id_in
from tests.e2e.processes import start_http_process, start_process
from tests.http_client import ACCEPT

PING: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
DEEP = "[" * 5000 + "]" * 5000
CALL = '{"jsonrpc":"2.0","id":"a\\"7","method":"tools/call","params":{"arguments":%s}}'
ID_LAST = '{"method":"tools/call","params":{"id":3,"a":"}","b":%s},"jsonrpc":"2.0","id":12}'
INPUTS: dict[str, tuple[str, int, int | str | None]] = {
    "no JSON": ("hello", PARSE_ERROR, None),
    "half a message": ('{"jsonrpc":"2.0","id":5,', PARSE_ERROR, 5),
    "byte-order mark": (f"\ufeff{json.dumps(PING)}", PARSE_ERROR, 1),
    "deep argument": (CALL % DEEP, PARSE_ERROR, 'a"7'),
    "deep argument before the id": (ID_LAST % DEEP, PARSE_ERROR, 12),
    "batch": (json.dumps([PING, PING]), INVALID_REQUEST, None),
    "no method": ('{"jsonrpc":"2.0","id":8}', INVALID_REQUEST, 8),
    "number": ("5", INVALID_REQUEST, None),
    "null": ("null", INVALID_REQUEST, None),
}
"""Input, the error's code on stdio, and the id that the error has there."""


async def test_line_that_is_no_message_is_answered_and_logged() -> None:
    async with start_process("--sandbox") as server:
        for name, (line, code, message_id) in INPUTS.items():
            server.send_raw(line.encode() + b"\n")
            answer = await server.read_message()
            assert (answer["error"]["code"], answer["id"]) == (code, message_id), name
            assert (await server.wait_for_log("unreadable_message"))["code"] == code
        server.send_raw(b"\n")
        await server.initialize()
        server.send(id=2, method="tools/list")
        assert (await server.read_message())["id"] == 2
        server.send_raw(b"the last words\n")
        assert (await server.read_message())["error"]["code"] == PARSE_ERROR
        assert await server.wait_for_exit() == 0
    assert b"Traceback" not in server.stderr


async def test_body_that_is_no_message_is_answered_over_http() -> None:
    async with (
        start_http_process("--sandbox") as (server, url),
        httpx.AsyncClient(timeout=20) as http,
    ):
        headers = ACCEPT | {"content-type": "application/json"}
        for name, (body, _, _) in INPUTS.items():
            response = await http.post(url, content=body.encode(), headers=headers)
            assert response.status_code == 400, name
            assert response.json()["error"]["code"] in {PARSE_ERROR, INVALID_REQUEST, -32602}, name
    assert b"Traceback" not in server.stderr


@pytest.mark.parametrize(
    ("line", "message_id"),
    [
        ('{"id": -4, ', -4),
        ('{"id": "x\\u0041"', "xA"),
        ('{"id": null, "id": 3', 3),
        ('{"params": {"id": 1}', None),
        ('{"a": "\\"id\\": 1"', None),
        ('{"id": 1.5', None),
        ('{"id": ' + "9" * 5000, None),
        ('["id", 1', None),
        ("", None),
        ('{"id"', None),
        ('"' * 100_001, None),
    ],
)
def test_id_is_found_only_at_the_top_of_a_message(line: str, message_id: object) -> None:
    assert message_id_in(line) == message_id
