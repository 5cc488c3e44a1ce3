"""Answers lines on stdio that are no message with the protocol's error, as the HTTP transport does.

The SDK drops them, and a client waits for an answer that never comes.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Self

import anyio.to_thread
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

from devin_mcp.observability.log import event

_PART = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_ID = re.compile(r'-?\d{1,18}|"(?:[^"\\]|\\.)*"')


class AnsweredStream:
    """The SDK's stream of incoming messages without the lines that are none, which are answered."""

    def __init__(self, incoming: Any, outgoing: Any, lines: deque[str]) -> None:
        """`lines` has the lines that were read and not passed on yet."""
        self._incoming = incoming
        self._outgoing = outgoing
        self._lines = lines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._incoming, name)

    async def __aenter__(self) -> Self:
        await self._incoming.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._incoming.__aexit__(*error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._next(self._incoming.__anext__)

    async def receive(self) -> Any:
        return await self._next(self._incoming.receive)

    async def _next(self, read: Callable[[], Awaitable[Any]]) -> Any:
        while True:
            item = await read()
            line = self._lines.popleft()
            if not isinstance(item, Exception):
                return item
            await self._answer(item, line)

    async def _answer(self, problem: Exception, line: str) -> None:
        if not line.strip():
            return
        is_json = isinstance(problem, ValidationError) and not any(
            error["type"] == "json_invalid" for error in problem.errors(include_input=False)
        )
        code, text = PARSE_ERROR, "The line is no JSON, or nested too deeply."
        if is_json:
            code, text = INVALID_REQUEST, "The line is no JSON-RPC message."
        if line.lstrip().startswith("["):
            code, text = INVALID_REQUEST, "Batches are not part of MCP: send one message per line."
        message_id = await anyio.to_thread.run_sync(message_id_in, line)
        event("unreadable_message", level="warning", code=code, chars=len(line))
        error = JSONRPCError(jsonrpc="2.0", id=message_id, error=ErrorData(code=code, message=text))
        await self._outgoing.send(SessionMessage(error))


def message_id_in(line: str) -> int | str | None:
    """The id of a message that cannot be read as a whole; None without one."""
    depth, is_id, is_key = 0, False, False
    for match in _PART.finditer(line):
        part = match[0]
        if part in "{[":
            depth += 1
            is_id = False
        elif part in "}]":
            depth -= 1
        elif depth == 1 and part == ":":
            is_id, is_key = is_key, False
        elif depth == 1:
            if is_id and _ID.fullmatch(part):
                message_id: int | str = json.loads(part)
                return message_id
            is_id, is_key = False, part == '"id"'
    return None
