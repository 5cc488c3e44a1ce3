"""A port and a web server on it that ends when it is told to. Knows nothing of what it serves."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from devin_mcp.settings.parsers import LOOPBACK
from devin_mcp.settings.setting import SettingsError


def is_loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its address as `http://host:port`. Raises BadSetting when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as problem:
        raise SettingsError(f"--port {port} cannot be used on {host}: {problem.strerror}") from None
    # asyncio sets this only where it made the socket itself, and an answer in two pieces then waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    taken = listener.getsockname()[1]
    return listener, f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"


IDLE = 75
"""Seconds an idle connection is kept: longer than proxies keep theirs, so that none is closed under a request."""


def run(
    app: ASGIApp,
    listener: socket.socket,
    *,
    grace: int,
    ending: Callable[[], None] = lambda: None,
    largest_head: int = 16 * 1024,
    proxies: str = "127.0.0.1",
) -> None:
    """Serve until SIGTERM or SIGINT; then stop accepting, call `ending`, and give what is in flight `grace` seconds.

    `largest_head` are the bytes of request line and headers, `proxies` those whose X-Forwarded-For is believed.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        h11_max_incomplete_event_size=largest_head,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=grace,
        lifespan="auto",
        proxy_headers=True,
        forwarded_allow_ips=proxies,
    )
    asyncio.run(_Server(config, ending).serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """uvicorn raises the signal again after its shutdown, which would turn a clean end into a failure."""

    def __init__(self, config: uvicorn.Config, ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._ending = ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._ending()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
