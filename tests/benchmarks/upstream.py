"""The least that can answer: one canned session over keep-alive HTTP, the same for both servers."""

import asyncio
import json
import sys

MESSAGES = [
    {
        "type": kind,
        "event_id": f"event-{place}",
        "message": f"Message {place}. " + "All tests pass. " * 6,
        "timestamp": "2026-01-02T03:04:05.678901Z",
    }
    for place, kind in enumerate(
        ["initial_user_message", "devin_message", "user_message", "devin_message"] * 3
    )
]
SESSION = {
    "session_id": "devin-" + "0" * 32,
    "status": "running",
    "status_enum": "blocked",
    "title": "Add a check",
    "created_at": "2026-01-02T03:04:05.678901Z",
    "updated_at": "2026-01-02T03:05:05.678901Z",
    "tags": ["a", "b"],
    "playbook_id": None,
    "snapshot_id": None,
    "pull_request": {"url": "https://example.com/pull/1"},
    "structured_output": None,
    "messages": MESSAGES,
}
BODY = json.dumps(SESSION).encode()
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
