"""All settings: each is declared once, with flag, variable, default, parser and help."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from devin_mcp.keys import KEY_HEADER, WHERE_TO_GET_A_KEY
from devin_mcp.settings.environment import default_files_root
from devin_mcp.settings.parsers import (
    int_between,
    one_of,
    parse_api_base_url,
    parse_api_key,
    parse_audience,
    parse_bool,
    parse_ca_bundle,
    parse_directory,
    parse_file,
    parse_host,
    parse_https_url,
    parse_networks,
    parse_origin,
    parse_redis_url,
    parse_signing_key,
    parse_tool_name,
    parse_url,
    parse_variable_name,
    seconds_between,
)
from devin_mcp.settings.setting import (
    SERVER_COMMANDS,
    setting,
    settings_of,
)

Toolset = Literal["sessions", "attachments", "secrets", "knowledge", "playbooks"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)

HTTP_COMMANDS = ("http",)
CALL_DEADLINE_SECONDS = 50.0
"""One call takes no longer, everything included: hosts give up at 60 (design.md §10)."""
LOCAL_COMMANDS = ("stdio", "tools", "doctor")


@dataclass(frozen=True)
class Settings:
    """All settings, resolved once at start. A flag overrides a variable, a variable the default."""

    api_key: str = setting(
        "",
        parse_api_key,
        f"Devin API key; get one {WHERE_TO_GET_A_KEY}",
        env="DEVIN_API_KEY",
        flag=False,
        secret=True,
    )
    base_url: str = setting(
        "https://api.devin.ai",
        parse_api_base_url,
        "base URL of the Devin API; dedicated deployments have their own",
        env="DEVIN_BASE_URL",
        flag=False,
        echo=False,
    )
    app_url: str = setting(
        "",
        parse_url,
        "URL of the Devin web app, for links to sessions; needed only with DEVIN_BASE_URL",
        env="DEVIN_APP_URL",
        flag=False,
        echo=False,
    )
    ca_bundle: Path | None = setting(
        None,
        parse_ca_bundle,
        "file of CA certificates (PEM) to trust in addition to the system's",
        env="SSL_CERT_FILE",
        flag=False,
    )
    sandbox: bool = setting(
        False, parse_bool, "simulated Devin instead of the real one: no key, no network, no cost"
    )
    confirm: str = setting(
        "auto",
        one_of("auto", "always", "never"),
        "confirmation by the user before a session is ended or anything is deleted: auto = if the "
        "client can ask, always = refused if it cannot, never = left to the client's own approval",
        metavar="WHEN",
    )
    state_keys: tuple[str, ...] = setting(
        (),
        parse_signing_key,
        "keys (32+ characters) that sign confirmation state; the first signs, all verify. "
        "Replicas need the same keys",
        flag=False,
        secret=True,
        commands=("stdio", "http"),
    )
    read_only: bool = setting(False, parse_bool, "only tools that change nothing and spend nothing")
    toolsets: tuple[str, ...] = setting(
        (),
        one_of(*TOOLSETS),
        f"toolsets to enable, all by default: {', '.join(TOOLSETS)}",
        metavar="A,B",
    )
    tools: tuple[str, ...] = setting(
        (),
        parse_tool_name,
        "additional tools to enable; without --toolsets, the only ones",
        metavar="A,B",
    )
    exclude_tools: tuple[str, ...] = setting((), parse_tool_name, "tools to disable", metavar="A,B")
    max_acu: int | None = setting(
        None,
        int_between(1, 100_000),
        "maximum ACUs per session; used if a call gives no limit, and higher limits are refused",
    )
    max_sessions: int = setting(
        30, int_between(0, 10_000), "maximum sessions started per hour, process and API key"
    )
    allow_secret_env: tuple[str, ...] = setting(
        (),
        parse_variable_name,
        "environment variable whose value may be passed to Devin as a secret (stdio only)",
        metavar="NAME",
        echo=False,
        commands=LOCAL_COMMANDS,
    )
    files_root: tuple[Path, ...] = setting(
        (),
        parse_directory,
        "directory below which files may be read and written (stdio only); default: the working "
        "directory, unless it is or contains the home directory, or is a Windows directory",
        metavar="DIR",
        commands=LOCAL_COMMANDS,
    )
    timeout: float = setting(
        30.0,
        seconds_between(0.1, CALL_DEADLINE_SECONDS),
        f"maximum seconds for Devin to answer one request, at most {CALL_DEADLINE_SECONDS:g}",
        metavar="S",
    )
    log_level: str = setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "lowest level of log events to write",
        metavar="debug|info|warning|error",
        commands=(*SERVER_COMMANDS, "sandbox"),
    )
    log_format: str = setting(
        "",
        one_of("json", "console"),
        "log format; default: console if stderr is a terminal, else json",
        metavar="json|console",
        commands=(*SERVER_COMMANDS, "sandbox"),
    )
    result_limit: int = setting(
        25_000,
        int_between(2_000, 1_000_000),
        "maximum length of a tool result in characters",
        metavar="CHARS",
    )
    max_upstream_requests: int = setting(
        64,
        int_between(1, 1000),
        "maximum concurrent requests to Devin per process; more have to wait",
    )
    cache_ttl: float = setting(
        30.0,
        seconds_between(0, 3600),
        "lifetime of cached notes, playbooks and lists for browsing, in seconds; 0 = no cache",
        metavar="S",
    )
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
        "accepted values of the Host header; default: loopback names on a loopback address, else "
        "the host of --public-url, else all",
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
        "Redis server through which replicas notify each other of changes, such as "
        "redis://host:6379; needs the extra redis",
        metavar="URL",
        secret=True,
        commands=HTTP_COMMANDS,
    )

    def __post_init__(self) -> None:
        if not self.files_root:
            object.__setattr__(self, "files_root", default_files_root())
        if not self.log_format:
            object.__setattr__(self, "log_format", "console" if sys.stderr.isatty() else "json")


SETTINGS = settings_of(Settings)
