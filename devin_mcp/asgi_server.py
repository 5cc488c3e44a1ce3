"""Runs an ASGI application with uvicorn until a signal, and stops it gracefully."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from devin_mcp.http_protocol import HttpProtocol
from devin_mcp.observability.log import event
from devin_mcp.settings import SettingsError
from devin_mcp.settings.parsers import LOOPBACK
from devin_mcp.stop_signals import ignore_stop_signals, stop_signals

KEEP_ALIVE_SECONDS = 75
"""Longer than the keep-alive of usual proxies, so that they never send on a closed connection."""


ACCEPT_SECONDS = 0.01
"""Until each accepted connection has its protocol."""


def is_loopback(host: str) -> bool:
    if host in LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind_socket(host: str, port: int) -> tuple[socket.socket, str]:
    """A listening socket and its URL, as `http://host:port`; port 0 means any free port.

    Raises SettingsError if the port cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(f"--port {port} cannot be used on {host}: {error.strerror}") from None
    # asyncio sets TCP_NODELAY only on sockets that it creates. Without it, a response in two
    # packets is delayed by 40 ms, until the ACK of the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound_port = listener.getsockname()[1]
    url_host = f"[{host}]" if ":" in host else host
    return listener, f"http://{url_host}:{bound_port}"


def accept_all(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    listener.setblocking(False)
    with suppress(OSError):  # BlockingIOError: no more
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


def uvicorn_config(
    app: ASGIApp,
    *,
    grace: int,
    max_head_bytes: int = 16 * 1024,
    forwarded_allow_ips: str = "127.0.0.1",
) -> uvicorn.Config:
    """The parameters are those of `run`."""
    return uvicorn.Config(
        app,
        http=HttpProtocol,
        h11_max_incomplete_event_size=max_head_bytes,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
        lifespan="auto",
        workers=1,  # otherwise WEB_CONCURRENCY is read, which may hold anything
        proxy_headers=True,
        forwarded_allow_ips=forwarded_allow_ips,
    )


def run(
    app: ASGIApp,
    listener: socket.socket,
    *,
    grace: int,
    on_startup: Callable[[], None] = lambda: None,
    on_shutdown: Callable[[], None] = lambda: None,
    max_head_bytes: int = 16 * 1024,
    forwarded_allow_ips: str = "127.0.0.1",
) -> None:
    """Serve until a stop signal; then call `on_shutdown` and stop accepting connections.

    `on_startup` is called when connections are accepted and a stop signal is graceful. Requests in
    flight have `grace` seconds to complete. `max_head_bytes` limits the request line with the
    headers. X-Forwarded-For is trusted from the addresses in `forwarded_allow_ips`.
    """
    config = uvicorn_config(
        app, grace=grace, max_head_bytes=max_head_bytes, forwarded_allow_ips=forwarded_allow_ips
    )
    # Not on uvloop: with 500 busy callers, some of them waited for 20 s to be accepted or read.
    asyncio.run(_Server(config, on_startup, on_shutdown).serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """uvicorn's server, but it exits with status 0 after a signal, and stops on SIGHUP, too.

    uvicorn raises the signal again after its shutdown, so the process would end by the signal. It
    also ends the grace period at a second SIGINT.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_startup: Callable[[], None],
        on_shutdown: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown
        self._signal: str | None = None

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        self._signal = self._signal or signal.Signals(sig).name
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_startup()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        started_at = time.monotonic()
        event("stopping", why=self._signal)
        self._on_shutdown()
        # The system resets connections that wait to be accepted when the socket closes. A proxy may
        # have sent a request on each, and cannot know whether it was carried out.
        waiting = [connection for listener in sockets or [] for connection in accept_all(listener)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(ACCEPT_SECONDS)
        await super().shutdown(sockets)
        event("stopped", duration_ms=round(1000 * (time.monotonic() - started_at)))

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        for number in stop_signals():
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            ignore_stop_signals()
