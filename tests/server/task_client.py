"""A client that declares tasks, in raw requests over HTTP: the SDK's own has none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from devin_mcp.server.tasks import TASKS
from tests.http_client import ACCEPT, MODERN, MODERN_META


@dataclass(frozen=True)
class TaskClient:
    url: str
    key: str = ""
    """Devin key, for --auth caller-key."""
    capabilities: tuple[str, ...] = (TASKS,)
    """Extensions that are declared with each request."""
    forms: bool = False
    """Whether the client can ask its user."""

    async def request(self, method: str, params: dict[str, Any], **headers: str) -> dict[str, Any]:
        """The whole JSON-RPC answer."""
        capabilities: dict[str, Any] = {"extensions": {name: {} for name in self.capabilities}}
        if self.forms:
            capabilities["elicitation"] = {"form": {}}
        meta = MODERN_META | {"io.modelcontextprotocol/clientCapabilities": capabilities}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
        fields = ACCEPT | {"content-type": "application/json"}
        fields |= {"mcp-protocol-version": MODERN, "mcp-method": method}
        if self.key:
            fields["x-devin-api-key"] = self.key
        if method == "tools/call":
            fields["mcp-name"] = params["name"]
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(timeout=60) as http:
            reply = await http.post(self.url, content=json.dumps(message), headers=fields)
        answer: dict[str, Any] = reply.json()
        return answer

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool, or the task that it became."""
        answer = await self.request("tools/call", {"name": f"devin_{tool}", "arguments": arguments})
        result: dict[str, Any] = answer["result"]
        return result

    async def answer(self, task_id: str, key: str, action: str, **content: str) -> None:
        """Send what a person did with the form of a question."""
        responses = {key: {"action": action, "content": content}}
        reply = await self.request("tasks/update", {"taskId": task_id, "inputResponses": responses})
        assert reply["result"] == {"resultType": "complete"} | reply["result"], reply

    async def get(self, task_id: str) -> dict[str, Any]:
        """The task as it is now."""
        result: dict[str, Any] = (await self.request("tasks/get", {"taskId": task_id}))["result"]
        return result
