"""A scripted model for real hosts: a server on loopback that speaks the model APIs of Claude Code
and Gemini CLI, and delegates one task.

It keeps no state: the next step is read out of the conversation that the host sends back. A request
without tools, such as one for a title, is answered with a word.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

TASK = "Refuse orders with a negative price, with tests."
ANSWER = "Strict, please."
QUESTION, PULL_REQUEST = "strict", "/pull/"
MAX_CALLS = 8


@dataclass
class ToolResult:
    """A call of the model, and what the host showed of its result."""

    tool: str
    arguments: Json
    text: str
    is_error: bool

    def text_field(self, name: str) -> str | None:
        """A text of the JSON, however often the host has quoted it."""
        found = re.search(rf'\\*"{name}\\*"\s*:\s*\\*"([^"\\]+)', self.text)
        return found[1] if found else None


@dataclass
class Conversation:
    """What a host shows its model."""

    tools: dict[str, Json]
    """By the host's own names."""
    results: list[ToolResult] = field(default_factory=list)
    text: str = ""
    """The system prompt and what the person typed."""

    def last(self, tool: str) -> ToolResult | None:
        return next((item for item in reversed(self.results) if item.tool.endswith(tool)), None)

    @property
    def own_tools(self) -> list[Json]:
        return [tool for name, tool in self.tools.items() if "devin_" in name]


@dataclass
class Call:
    tool: str
    arguments: Json


Script = Callable[[Conversation], Call | str]
"""From the conversation to the next call, or to what the model says."""


def delegate(conversation: Conversation) -> Call | str:
    """Delegate, answer the question, wait for the pull request."""
    if len(conversation.results) >= MAX_CALLS:
        return "I have called enough."
    delegated = conversation.last("devin_delegate_task")
    if delegated is None:
        arguments = {"prompt": TASK, "repository": "acme/shop-api", "max_wait_s": 5}
        return Call("devin_delegate_task", arguments)
    latest = conversation.results[-1]
    session_id, cursor = delegated.text_field("session_id"), latest.text_field("cursor")
    if PULL_REQUEST in latest.text:
        return "The pull request is there."
    sent = conversation.last("devin_send_message")
    if sent is None and QUESTION in latest.text:
        arguments = {"session_id": session_id, "message": ANSWER, "max_wait_s": 20}
        return Call("devin_send_message", arguments | ({"cursor": cursor} if cursor else {}))
    arguments = {"session_ids": [session_id], "max_wait_s": 20}
    return Call("devin_wait_for_sessions", arguments | ({"cursor": cursor} if cursor else {}))


def host_name(conversation: Conversation, tool: str) -> str:
    """What the host calls the tool."""
    names = [name for name in conversation.tools if name.endswith(tool)]
    return min(names, key=len, default=tool)


def read_anthropic(body: Json) -> Conversation:
    conversation = Conversation({tool["name"]: tool for tool in body.get("tools", [])})
    conversation.text = _text_of(body.get("system"))
    calls: dict[str, Json] = {}
    for message in body["messages"]:
        content = message["content"]
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if part["type"] == "tool_use":
                calls[part["id"]] = part
            elif part["type"] == "tool_result":
                call, text = calls[part["tool_use_id"]], _text_of(part.get("content"))
                is_error = bool(part.get("is_error"))
                conversation.results.append(ToolResult(call["name"], call["input"], text, is_error))
            elif part["type"] == "text":
                conversation.text += f"\n{part['text']}"
    return conversation


def write_anthropic(step: Call | str, number: int) -> Iterator[str]:
    """The events of a streamed message."""
    call = step if isinstance(step, Call) else None
    block: Json = {"type": "text", "text": ""}
    delta: Json = {"type": "text_delta", "text": step}
    if call is not None:
        block = {"type": "tool_use", "id": f"toolu_{number:06}", "name": call.tool, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call.arguments)}
    usage = {"input_tokens": 10, "output_tokens": 5}
    message: Json = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    stop = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    events: list[Json] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": usage},
        {"type": "message_stop"},
    ]
    return (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def read_gemini(body: Json) -> Conversation:
    declared = [
        tool for group in body.get("tools", []) for tool in group.get("functionDeclarations", [])
    ]
    conversation = Conversation({tool["name"]: tool for tool in declared})
    conversation.text = _text_of((body.get("systemInstruction") or {}).get("parts"))
    calls: list[Json] = []
    for content in body.get("contents", []):
        for part in content.get("parts", []):
            if "functionCall" in part:
                calls.append(part["functionCall"])
            elif "functionResponse" in part:
                response = part["functionResponse"]["response"]
                text = response.get("output") or response.get("error") or json.dumps(response)
                call = calls[len(conversation.results)]
                conversation.results.append(
                    ToolResult(call["name"], call["args"], _text_of(text), "error" in response)
                )
            elif "text" in part:
                conversation.text += f"\n{part['text']}"
    return conversation


def write_gemini(step: Call | str, number: int) -> Iterator[str]:
    part: Json = {"text": step}
    if isinstance(step, Call):
        part = {"functionCall": {"id": f"c{number}", "name": step.tool, "args": step.arguments}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    yield f"data: {json.dumps({'candidates': [candidate], 'usageMetadata': usage})}\n\n"


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(map(_text_of, content))
    if isinstance(content, dict):
        text = content.get("text")
        return text if isinstance(text, str) else json.dumps(content)
    return content if isinstance(content, str) else ""


class ScriptedModel:
    """What the hosts have shown the model, in order."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.conversations: list[Conversation] = []
        self.url = ""

    def answer(self, path: str, body: Json) -> Iterator[str] | None:
        """The events of the answer; None for another request than one for an answer."""
        if "/v1/messages" in path and "count_tokens" not in path:
            read, write = read_anthropic, write_anthropic
        elif "streamGenerateContent" in path:
            read, write = read_gemini, write_gemini
        else:
            return None
        conversation = read(body)
        self.conversations.append(conversation)
        step = self._script(conversation) if conversation.tools else "A word"
        if isinstance(step, Call):
            step = Call(host_name(conversation, step.tool), step.arguments)
        return write(step, len(self.conversations))


@contextmanager
def scripted_model(script: Script | None = None) -> Iterator[ScriptedModel]:
    """A model that listens on loopback as long as the block lasts. It delegates one task unless
    there is another script.
    """
    model = ScriptedModel(script or delegate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send({"data": [], "models": []})

        def do_POST(self) -> None:
            body = json.loads(self._body() or b"{}")
            events = model.answer(self.path, body)
            if events is None:
                self._send({"input_tokens": 10, "totalTokens": 10})
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write("".join(events).encode())

        def _body(self) -> bytes:
            if "chunked" not in self.headers.get("Transfer-Encoding", ""):
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            return data

        def _send(self, body: Json) -> None:
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests look at the conversations."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
