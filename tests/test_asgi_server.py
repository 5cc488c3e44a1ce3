"""The listening socket of the HTTP servers."""

from __future__ import annotations

import socket

from devin_mcp.asgi_server import bind_socket


def test_listening_socket_has_tcp_nodelay() -> None:
    """Without it an answer in two writes waits 40 ms for the client's ACK."""
    listener, _ = bind_socket("127.0.0.1", 0)
    with listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
