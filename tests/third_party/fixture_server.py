"""`python -m tests.third_party.fixture_server`: our server with the suite's fixtures."""

from __future__ import annotations

import argparse
from typing import Any

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.types import JSONRPCMessage

from devin_mcp.asgi_server import bind_socket, run
from devin_mcp.observability import log, log_config
from devin_mcp.server.build import build, own_key
from devin_mcp.server.http.app import PATH, http_app, identity_from_scope
from devin_mcp.server.http.auth import NoAuth
from devin_mcp.server.http.serve import allowed_hosts_for, allowed_origins_for
from devin_mcp.server.identity import Identity
from devin_mcp.settings import Settings
from tests.third_party.fixtures import install


class Events(EventStore):
    """Keeps every event for clients that reconnect. An event's id is its position."""

    def __init__(self) -> None:
        self._events: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(
        self, last_event_id: EventId, send_callback: EventCallback
    ) -> StreamId | None:
        seen = int(last_event_id) if last_event_id.isdecimal() else 0
        if not 0 < seen <= len(self._events):
            return None
        stream = self._events[seen - 1][0]
        for place, (other, message) in enumerate(self._events[seen:], seen + 1):
            if other == stream and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--sessions", action="store_true", help="stateful, with an event store")
    options = parser.parse_args()
    log_config.configure("info", "json")
    settings, own = Settings(sandbox="v1"), Identity(own_key(Settings(sandbox="v1")))
    server = build(settings, "http", identify=identity_from_scope(own))
    install(server)
    sessions: dict[str, Any] = (
        {"stateless": False, "event_store": Events(), "retry_interval": 100}
        if options.sessions
        else {}
    )
    app = http_app(
        server,
        NoAuth(own.key),
        allowed_hosts=allowed_hosts_for(settings),
        allowed_origins=allowed_origins_for(settings),
        **sessions,
    )
    listener, address = bind_socket("127.0.0.1", options.port)
    log.event("serving", url=f"{address}{PATH}")
    run(app, listener, grace=1)


if __name__ == "__main__":
    main()
