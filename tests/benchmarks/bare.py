"""The bare server to compare with: the same SDK and request, JSON as text, no logging."""

import os
import sys

import httpx
from mcp.server import MCPServer

client = httpx.AsyncClient(headers={"authorization": "Bearer apk_bench"})
server = MCPServer("bare", log_level="ERROR")


@server.tool()
async def get_session(session_id: str) -> str:
    """Get a session."""
    answer = await client.get(f"{os.environ['BARE_UPSTREAM']}/v1/sessions/{session_id}")
    return answer.text


if __name__ == "__main__":
    if sys.argv[1:]:
        server.run("streamable-http", port=int(sys.argv[1]), json_response=True)
    else:
        server.run()
