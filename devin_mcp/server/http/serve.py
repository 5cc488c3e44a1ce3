"""`devin-mcp http`: from the settings to a process, or several, that serve /mcp and end when they are told to."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from secrets import token_hex
from socket import socket
from urllib.parse import urlsplit

from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

from devin_mcp import __version__
from devin_mcp.api.clock import Clock
from devin_mcp.asgi_server import bind_socket, is_loopback, run
from devin_mcp.errors import BadKey
from devin_mcp.observability.log import event
from devin_mcp.server.build import build, own_key, warn_about_key
from devin_mcp.server.context import Shutdown
from devin_mcp.server.http.app import PATH, http_app, identity_from_scope
from devin_mcp.server.http.auth import Authenticator, CallerKeyAuth, NoAuth, TokenAuth
from devin_mcp.server.http.caller_tokens import CallerTokens
from devin_mcp.server.http.health import Readiness, probes
from devin_mcp.server.http.jwks import JwksCache
from devin_mcp.server.http.limits import BODY_TIMEOUT, MAX_HEAD_BYTES
from devin_mcp.server.http.oauth import OAuthAuth
from devin_mcp.server.identity import Identity
from devin_mcp.server.replication import check_bus
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import Settings

GRACE = 10
"""Seconds from the signal to the end: most of it for calls, the rest for writes whose callers are gone."""
GRACE_FOR_WRITES = 3

OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")

ABOUT_KEYS = {
    "caller-key": (
        "Nothing was changed. Make a key in the Devin web app under Settings > API keys (v1 keys start with apk_) and "
        "send it in the header X-Devin-Api-Key."
    ),
    "none": BadKey.advice_by_default,
}
SERVERS_OWN = "Nothing was changed. The key is this server's own: tell the person who runs it to set another DEVIN_API_KEY."


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status; raises BadSetting before anything is opened."""
    _check(settings)
    listener, address = bind_socket(settings.host, settings.port)
    with ExitStack() as stack:
        counted = _metrics(settings, stack)
        event(
            "serving",
            url=f"{address}{PATH}",
            version=__version__,
            auth=settings.auth,
            sandbox=settings.sandbox,
            workers=settings.workers,
            metrics=counted,
        )
        _warn(settings)
        if settings.workers == 1:
            serve_on(listener, settings)
            return 0
        from devin_mcp.server.http.workers import run_workers

        # One key for all of them, so that a question asked by one can be answered to another.
        work = partial(serve_on, listener, settings, state_key=token_hex(32))
        return run_workers(settings, work, grace=GRACE)


def serve_on(listener: socket, settings: Settings, *, state_key: str = "") -> None:
    """Serve on a socket that listens: all of a process, or one of several that share it."""
    # It would cut every answer that is being streamed at the first signal, grace or not; ours end at the end of it.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # sse-starlette leaves it untyped
    ending = Shutdown()
    app = build_app(settings, ending, state_key=state_key)
    run(
        app,
        listener,
        grace=GRACE - GRACE_FOR_WRITES,
        on_shutdown=ending.begin,
        max_head_bytes=MAX_HEAD_BYTES,
        forwarded_allow_ips=settings.forwarded_allow_ips,
    )


def build_app(
    settings: Settings,
    ending: Shutdown,
    *,
    state_key: str = "",
    clock: Clock | None = None,
    for_a_body: float = BODY_TIMEOUT,
) -> ASGIApp:
    """All that is served, as the settings want it. `clock` and `for_a_body` are for tests."""
    readiness, mode = Readiness(), authenticator_for(settings, clock)
    ending.tell(readiness.drain)
    server = build(
        settings,
        "http",
        clock=clock,
        grace=GRACE_FOR_WRITES,
        ending=ending,
        state_key=state_key,
        at_start=readiness.begin,
        identify=identity_from_scope(Identity(own_key(settings))),
        about_keys=ABOUT_KEYS.get(settings.auth, SERVERS_OWN),
    )
    metadata = mode.routes if isinstance(mode, OAuthAuth) else []
    return http_app(
        server,
        mode,
        hosts=allowed_hosts_for(settings),
        origins=allowed_origins_for(settings),
        most=settings.max_calls_per_caller,
        for_a_body=for_a_body,
        routes=[*probes(readiness), *metadata],
    )


def authenticator_for(settings: Settings, clock: Clock | None = None) -> Authenticator:
    """Raises BadSetting for what the mode lacks."""
    tokens = CallerTokens(settings.caller_tokens_file) if settings.caller_tokens_file else None
    match settings.auth:
        case "caller-key":
            return CallerKeyAuth(tokens)
        case "token":
            if tokens is None:
                raise SettingsError(
                    "--auth token needs --caller-tokens-file: a line name:sha256 for each who may call"
                )
            return TokenAuth(own_key(settings), tokens)
        case "oauth":
            if not settings.oauth_issuer or not settings.public_url:
                raise SettingsError(
                    "--auth oauth needs --oauth-issuer and --public-url, the address clients know this server by"
                )
            return OAuthAuth(
                own_key(settings),
                JwksCache(settings, clock),
                issued_by=settings.oauth_issuer,
                audience=settings.oauth_audience or settings.public_url,
                public_url=settings.public_url,
            )
    return NoAuth(own_key(settings))


def allowed_hosts_for(settings: Settings) -> set[str] | None:
    """The names a request may be addressed to; None takes all, where nobody gets in on the strength of a name."""
    public = urlsplit(settings.public_url).hostname
    named = {*settings.allowed_hosts, *([public] if public else [])}
    if is_loopback(settings.host):
        return {*OWN_NAMES, _bracketed(settings.host), *named}
    return {_bracketed(name) for name in named} or None


def allowed_origins_for(settings: Settings) -> list[str]:
    """The pages that may call: those named, and on loopback what the same machine serves."""
    local = [f"http://{name}:*" for name in OWN_NAMES] if is_loopback(settings.host) else []
    return [*settings.allowed_origins, *local]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()


def _check(settings: Settings) -> None:
    if not is_loopback(settings.host) and settings.auth == "none":
        raise SettingsError(
            f"--host {settings.host} is not a loopback address, so say who may call: --auth caller-key (each brings a Devin "
            "key), token or oauth (this server's key); SECURITY.md explains them"
        )
    if settings.sandbox and settings.workers > 1:
        raise SettingsError(
            "--sandbox lives in one process, and each worker would have its own; run `devin-mcp sandbox` beside it"
        )
    visible_tools(settings, "http")
    authenticator_for(settings)
    if settings.redis_url:
        check_bus()


def _warn(settings: Settings) -> None:
    if settings.auth != "caller-key":
        warn_about_key(settings)
    if settings.auth == "caller-key" and settings.api_key:
        event(
            "own_key_unused",
            level="warning",
            why="with --auth caller-key each caller brings a key; DEVIN_API_KEY is never used",
        )
    if settings.workers > 1 and not settings.redis_url:
        event(
            "no_replication",
            level="warning",
            why="changes made through one worker are not announced by the others without --redis-url",
        )


def _metrics(settings: Settings, stack: ExitStack) -> str | None:
    if settings.metrics_port is None:
        return None
    from devin_mcp.observability.metrics import serve_metrics

    return stack.enter_context(
        serve_metrics(settings.metrics_host, settings.metrics_port, shared=settings.workers > 1)
    )
