"""`devin-mcp http`: starts the HTTP server in one or several processes and stops it gracefully."""

from __future__ import annotations

import gc
import os
from contextlib import ExitStack
from functools import partial
from secrets import token_hex
from socket import socket
from urllib.parse import urlsplit

from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from devin_mcp import __version__
from devin_mcp.api.certificates import warn_about_ca_bundle
from devin_mcp.api.clock import Clock, RealClock
from devin_mcp.api.descriptors import raise_descriptor_limit
from devin_mcp.api.memory import MemoryBudget
from devin_mcp.asgi_server import bind_socket, is_loopback, run
from devin_mcp.errors import BadKey
from devin_mcp.keys import DEFAULT_API, KEY_HEADER, WHERE_TO_GET_A_KEY
from devin_mcp.observability.log import event
from devin_mcp.server.build import build, own_key, warn_about_key
from devin_mcp.server.context import Shutdown
from devin_mcp.server.garbage_collection import freeze_loaded_objects
from devin_mcp.server.http.app import PATH, http_app, identity_from_scope
from devin_mcp.server.http.auth import Authenticator, CallerKeyAuth, NoAuth, TokenAuth
from devin_mcp.server.http.call_rate import CallRate
from devin_mcp.server.http.caller_tokens import CallerTokens
from devin_mcp.server.http.health import Readiness, health_routes
from devin_mcp.server.http.jwks import JwksCache
from devin_mcp.server.http.limits import (
    BODY_TIMEOUT,
    MAX_CALLS_BYTES,
    MAX_HEAD_BYTES,
    REVALIDATE_SECONDS,
)
from devin_mcp.server.http.oauth import OAuthAuth
from devin_mcp.server.identity import Identity
from devin_mcp.server.replication import check_redis_installed
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import Settings, SettingsError

GRACE_SECONDS = 10
"""From the stop signal to the end of the process: first for calls, then for writes that outlived
their calls.
"""
WRITES_GRACE_SECONDS = 3
"""The part of GRACE_SECONDS that is left to the writes."""

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""As they appear in a Host header and in an origin."""

BAD_KEY_ADVICE = {
    "caller-key": (
        f"Nothing was changed. Make a key {WHERE_TO_GET_A_KEY} "
        f"and send it in the header {KEY_HEADER}."
    ),
    "none": BadKey.advice_by_default,
}
"""--auth -> what a caller is told about a key that Devin refuses."""
BAD_SERVER_KEY_ADVICE = (
    "Nothing was changed. The key is this server's own: "
    "tell the person who runs it to set another DEVIN_API_KEY."
)


def serve(settings: Settings) -> int:
    """Serve until a stop signal. Returns the exit status; raises SettingsError before a socket is
    opened.
    """
    _check(settings)
    tokens = read_caller_tokens(settings)
    authenticator_for(settings, tokens)
    listener, address = bind_socket(settings.host, settings.port)
    with ExitStack() as stack:
        metrics_url = _serve_metrics(settings, stack)
        event(
            "serving",
            url=f"{address}{PATH}",
            version=__version__,
            auth=settings.auth,
            sandbox=settings.sandbox or None,
            workers=settings.workers,
            metrics=metrics_url,
        )
        _warn(settings)
        if settings.workers == 1:
            serve_on(listener, settings, tokens)
            return 0
        from devin_mcp.server.http.workers import run_workers

        # Workers share one state key, so that a confirmation asked by one can be answered to
        # another.
        target = partial(serve_on, listener, settings, tokens, state_key=token_hex(32))
        keep_current = tokens.reload_if_changed if tokens else None
        return run_workers(settings, target, grace=GRACE_SECONDS, keep_current=keep_current)


def serve_on(
    listener: socket, settings: Settings, tokens: CallerTokens | None, *, state_key: str = ""
) -> None:
    """Serve on a listening socket, which several processes can share."""
    _keep_streams_open_during_grace()
    raise_descriptor_limit()  # each client and each request needs one
    shutdown = Shutdown()
    app = build_app(settings, shutdown, tokens, state_key=state_key)
    gc.collect()
    freeze_loaded_objects()
    run(
        app,
        listener,
        grace=GRACE_SECONDS - WRITES_GRACE_SECONDS,
        on_startup=log_worker_ready if settings.workers > 1 else lambda: None,
        on_shutdown=shutdown.start,
        max_head_bytes=MAX_HEAD_BYTES,
        forwarded_allow_ips=settings.forwarded_allow_ips,
    )


def log_worker_ready() -> None:
    """The line `serving` is logged before the workers have loaded their modules."""
    event("worker_ready", pid=os.getpid())


def _keep_streams_open_during_grace() -> None:
    """Stop sse-starlette from ending every response stream at the stop signal.

    The SDK streams its responses with sse-starlette, which by default cuts them at once, and with
    them the results of calls that still have their grace period. The method is public but has no
    type annotations.
    """
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]


def build_app(
    settings: Settings,
    shutdown: Shutdown,
    tokens: CallerTokens | None,
    *,
    state_key: str = "",
    clock: Clock | None = None,
    memory: MemoryBudget | None = None,
    body_timeout: float = BODY_TIMEOUT,
    revalidate_seconds: float = REVALIDATE_SECONDS,
) -> ASGIApp:
    """The application that the settings describe. Tests give it a clock, a memory budget and
    shorter times.
    """
    readiness, authenticator = Readiness(), authenticator_for(settings, tokens, clock)
    memory = memory or MemoryBudget(MAX_CALLS_BYTES)
    rate = CallRate(settings.max_calls_per_minute, clock or RealClock())
    shutdown.on_start(readiness.mark_draining)
    server = build(
        settings,
        "http",
        clock=clock,
        memory=memory,
        grace=WRITES_GRACE_SECONDS,
        shutdown=shutdown,
        state_key=state_key,
        on_start=readiness.mark_started,
        rate=rate,
        identify=identity_from_scope(Identity(key=own_key(settings))),
        key_advice=BAD_KEY_ADVICE.get(settings.auth, BAD_SERVER_KEY_ADVICE),
    )
    metadata = authenticator.routes if isinstance(authenticator, OAuthAuth) else []
    return http_app(
        server,
        authenticator,
        allowed_hosts=allowed_hosts_for(settings),
        allowed_origins=allowed_origins_for(settings),
        max_calls_per_caller=settings.max_calls_per_caller,
        rate=rate,
        body_timeout=body_timeout,
        revalidate_seconds=revalidate_seconds,
        memory=memory,
        public_routes=[*health_routes(readiness), *metadata],
    )


def read_caller_tokens(settings: Settings) -> CallerTokens | None:
    """The callers of --caller-tokens-file. Raises SettingsError if the file is unusable."""
    return CallerTokens(settings.caller_tokens_file) if settings.caller_tokens_file else None


def authenticator_for(
    settings: Settings, tokens: CallerTokens | None, clock: Clock | None = None
) -> Authenticator:
    """The authenticator of --auth. Raises SettingsError when a setting that it needs is missing."""
    match settings.auth:
        case "caller-key":
            return CallerKeyAuth(tokens, settings.org_id, settings.api or DEFAULT_API)
        case "token":
            if tokens is None:
                raise SettingsError(
                    "--auth token needs --caller-tokens-file: "
                    "a line name:sha256 for each who may call"
                )
            return TokenAuth(own_key(settings), tokens)
        case "oauth":
            if not settings.oauth_issuer or not settings.public_url:
                raise SettingsError(
                    "--auth oauth needs --oauth-issuer and --public-url, "
                    "the address clients know this server by"
                )
            return OAuthAuth(
                own_key(settings),
                JwksCache(settings, clock),
                issuer=settings.oauth_issuer,
                audience=settings.oauth_audience or settings.public_url,
                public_url=settings.public_url,
            )
    return NoAuth(own_key(settings))


def allowed_hosts_for(settings: Settings) -> set[str] | None:
    """The accepted Host headers, without port. None accepts any, which is safe where every caller
    is authenticated.
    """
    public_host = urlsplit(settings.public_url).hostname
    hosts = {*settings.allowed_hosts, *([public_host] if public_host else [])}
    if is_loopback(settings.host):
        return {*LOOPBACK_HOSTS, _host_header(settings.host), *hosts}
    return {_host_header(host) for host in hosts} or None


def allowed_origins_for(settings: Settings) -> list[str]:
    """The origins of web pages that may call: those of the setting and, on loopback, pages of the
    same machine.
    """
    local = [f"http://{host}:*" for host in LOOPBACK_HOSTS] if is_loopback(settings.host) else []
    return [*settings.allowed_origins, *local]


def _host_header(host: str) -> str:
    """As in a Host header: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host.lower()


def _check(settings: Settings) -> None:
    """Raises SettingsError for settings that cannot be served."""
    if not is_loopback(settings.host) and settings.auth == "none":
        raise SettingsError(
            f"--host {settings.host} is not a loopback address, so say who may call: "
            "--auth caller-key (each brings a Devin key), token or oauth (this server's key); "
            "SECURITY.md explains them"
        )
    if settings.sandbox and settings.workers > 1:
        raise SettingsError(
            "--sandbox runs in one process, and each worker would have its own; "
            "run `devin-mcp sandbox` beside it"
        )
    if settings.auth in {"token", "oauth"} and own_key(settings).state != "usable":
        raise SettingsError(
            f"--auth {settings.auth} serves all callers with this server's own Devin key: set "
            "DEVIN_API_KEY to a key that starts with cog_ (or apk_)"
        )
    visible_tools(settings, "http")
    if settings.redis_url:
        check_redis_installed()


def _warn(settings: Settings) -> None:
    """Log settings that are valid and probably not intended."""
    warn_about_ca_bundle(settings)
    if settings.auth != "caller-key":
        warn_about_key(settings)
    if settings.auth == "caller-key" and settings.api_key:
        event(
            "own_key_unused",
            level="warning",
            why="with --auth caller-key each caller brings a key; DEVIN_API_KEY is never used",
        )
    if settings.redis_url and not settings.state_keys:
        event(
            "no_shared_state_keys",
            level="warning",
            why="another replica cannot read the answer to a question without DEVIN_MCP_STATE_KEYS",
        )
    if settings.workers > 1 and not settings.redis_url:
        event(
            "no_replication",
            level="warning",
            why="changes made through one worker are not announced by the others "
            "without --redis-url",
        )


def _serve_metrics(settings: Settings, stack: ExitStack) -> str | None:
    """Serve /metrics until `stack` is closed. Returns its URL, or None without --metrics-port."""
    if settings.metrics_port is None:
        return None
    from devin_mcp.observability.metrics import serve_metrics

    return stack.enter_context(
        serve_metrics(settings.metrics_host, settings.metrics_port, shared=settings.workers > 1)
    )
