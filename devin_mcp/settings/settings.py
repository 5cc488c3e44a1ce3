"""All settings: each is declared once, with flag, variable, default, parser and help. Those of both
transports are in server_settings.py, those of HTTP here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devin_mcp.keys import KEY_HEADER
from devin_mcp.settings.parsers import (
    int_between,
    one_of,
    parse_audience,
    parse_file,
    parse_host,
    parse_https_url,
    parse_networks,
    parse_origin,
    parse_redis_url,
    parse_url,
)
from devin_mcp.settings.server_settings import ServerSettings
from devin_mcp.settings.setting import setting, settings_of

HTTP_COMMANDS = ("http",)


@dataclass(frozen=True)
class Settings(ServerSettings):
    """All settings, resolved once at start. A flag overrides a variable, a variable the default."""

    host: str = setting(
        "127.0.0.1",
        parse_host,
        "address to listen on; for http, any but a loopback address needs --auth",
        commands=("http", "sandbox"),
    )
    port: int = setting(
        8000,
        int_between(0, 65_535),
        "port to listen on; 0 = any free port",
        commands=("http", "sandbox"),
    )
    auth: str = setting(
        "none",
        one_of("none", "caller-key", "token", "oauth"),
        "authentication of callers: none = not needed, on a loopback address only; caller-key = "
        f"each request has its own Devin API key in {KEY_HEADER}; token = bearer token from "
        "--caller-tokens-file; oauth = access token from --oauth-issuer. All but caller-key use "
        "the DEVIN_API_KEY of this server",
        metavar="MODE",
        commands=(*HTTP_COMMANDS, "config"),
    )
    caller_tokens_file: Path | None = setting(
        None,
        parse_file,
        "file of bearer tokens, a line name:sha256 for each; read again when it changes",
        metavar="FILE",
        commands=HTTP_COMMANDS,
    )
    oauth_issuer: str = setting(
        "",
        parse_https_url,
        "authorization server whose access tokens are accepted",
        metavar="URL",
        echo=False,
        commands=HTTP_COMMANDS,
    )
    oauth_audience: str = setting(
        "",
        parse_audience,
        "required audience of access tokens; default: --public-url",
        metavar="NAME",
        commands=HTTP_COMMANDS,
    )
    oauth_jwks_url: str = setting(
        "",
        parse_https_url,
        "URL of the issuer's signing keys (JWKS); default: as its metadata says",
        metavar="URL",
        echo=False,
        commands=HTTP_COMMANDS,
    )
    public_url: str = setting(
        "",
        parse_url,
        "URL of this server for clients, such as https://mcp.example.com/mcp",
        metavar="URL",
        echo=False,
        commands=HTTP_COMMANDS,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        parse_host,
        "accepted values of the Host header, beside the host of --public-url and, on a loopback "
        "address, the loopback names; all if there is none of these",
        metavar="A,B",
        commands=HTTP_COMMANDS,
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        parse_origin,
        "origins of web pages that may call from a browser, such as https://app.example.com",
        metavar="A,B",
        echo=False,
        commands=HTTP_COMMANDS,
    )
    max_calls_per_caller: int = setting(
        32,
        int_between(1, 10_000),
        "maximum concurrent calls per caller; more are answered with 429",
        commands=HTTP_COMMANDS,
    )
    max_calls_per_minute: int = setting(
        0,
        int_between(0, 1_000_000),
        "maximum calls per caller and minute, counted in all replicas with --redis-url; more are "
        "answered with 429; 0 = no limit",
        commands=HTTP_COMMANDS,
    )
    workers: int = setting(
        1, int_between(1, 64), "number of worker processes", commands=HTTP_COMMANDS
    )
    forwarded_allow_ips: str = setting(
        "127.0.0.1",
        parse_networks,
        "proxies whose X-Forwarded-For is trusted, for the log",
        metavar="A,B",
        commands=HTTP_COMMANDS,
    )
    metrics_port: int | None = setting(
        None,
        int_between(0, 65_535),
        "port for Prometheus metrics at /metrics; default: no metrics",
        commands=HTTP_COMMANDS,
    )
    metrics_host: str = setting(
        "127.0.0.1", parse_host, "address for /metrics", metavar="HOST", commands=HTTP_COMMANDS
    )
    redis_url: str = setting(
        "",
        parse_redis_url,
        "Redis server through which replicas share changes and starts, such as "
        "redis://host:6379; needs the extra redis",
        metavar="URL",
        secret=True,
        commands=HTTP_COMMANDS,
    )


SETTINGS = settings_of(Settings)
