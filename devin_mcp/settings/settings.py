"""Every knob once: flag, environment variable, default, help and check. The only module that reads the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from devin_mcp.settings.parsers import (
    addresses,
    api_key,
    audience,
    base_address,
    certificates,
    closest,
    file,
    folder,
    host_name,
    issuer,
    one_of,
    origin,
    redis_address,
    sealing_key,
    seconds,
    switch,
    variable,
    web_address,
    whole,
    word,
)
from devin_mcp.settings.setting import SERVING, SettingsError, setting, settings_of

Toolset = Literal["sessions", "attachments", "secrets", "knowledge", "playbooks"]
TOOLSETS: tuple[Toolset, ...] = get_args(Toolset)

HTTP = ("http",)


def working_directory() -> tuple[Path, ...]:
    """The directory the server was started in; none when the home is in it, or it is the system's (too much to allow)."""
    try:
        here = Path.cwd().resolve()
    except OSError:  # it was deleted
        return ()
    try:
        home = Path.home().resolve()
    except (OSError, RuntimeError):  # a user without one, as in containers
        home = None
    system = os.environ.get(
        "SYSTEMROOT"
    )  # where desktop programs of Windows start theirs, in a directory below
    if system and here.is_relative_to(Path(system).resolve()):
        return ()
    return () if here == Path(here.anchor) or (home and home.is_relative_to(here)) else (here,)


@dataclass(frozen=True)
class Settings:
    """All settings, resolved once at start. Flag beats environment beats default."""

    api_key: str = setting(
        "",
        api_key,
        "your Devin API key (v1, starts with apk_)",
        env="DEVIN_API_KEY",
        flag=False,
        secret=True,
    )
    base_url: str = setting(
        "https://api.devin.ai",
        base_address,
        "where the Devin API answers; dedicated deployments have their own host",
        env="DEVIN_BASE_URL",
        flag=False,
    )
    app_url: str = setting(
        "",
        web_address,
        "where the Devin web app is, for links to sessions; known for the default host",
        env="DEVIN_APP_URL",
        flag=False,
    )
    ca_bundle: Path | None = setting(
        None,
        certificates,
        "certificates to trust in addition to the usual ones",
        env="SSL_CERT_FILE",
        flag=False,
    )
    sandbox: bool = setting(
        False,
        switch,
        "talk to a simulated Devin: no key, no network, no money",
    )
    confirm: str = setting(
        "auto",
        one_of("auto", "always", "never"),
        "ask the user before ending or deleting: auto = where the client can, "
        "always = refuse where it cannot, never = leave it to the host's own approval",
        metavar="WHEN",
    )
    state_keys: tuple[str, ...] = setting(
        (),
        sealing_key,
        "keys of 32 characters or more that seal a question to the user, so that its answer may reach "
        "another replica; the first seals, each one opens",
        many=True,
        flag=False,
        secret=True,
        commands=("stdio", "http"),
    )
    read_only: bool = setting(
        False, switch, "offer only tools that change nothing and spend nothing"
    )
    toolsets: tuple[str, ...] = setting(
        (),
        one_of(*TOOLSETS),
        f"offer only these groups of tools: {', '.join(TOOLSETS)}",
        metavar="A,B",
        many=True,
    )
    tools: tuple[str, ...] = setting(
        (), word, "offer these tools, beside --toolsets if given", metavar="A,B", many=True
    )
    exclude_tools: tuple[str, ...] = setting(
        (), word, "never offer these tools", metavar="A,B", many=True
    )
    max_acu: int | None = setting(
        None,
        whole(1, 100_000),
        "spending cap per session: used when a call gives none, and a higher one is refused",
        metavar="N",
    )
    max_sessions: int = setting(
        30, whole(0, 10_000), "sessions that one process may start per hour and key", metavar="N"
    )
    allow_secret_env: tuple[str, ...] = setting(
        (),
        variable,
        "environment variable whose value may be handed to Devin by name (stdio only)",
        metavar="NAME",
        many=True,
        commands=("stdio", "tools", "doctor"),
    )
    files_root: tuple[Path, ...] = setting(
        (),
        folder,
        "directory below which files may be read and written (stdio only); default: where the server "
        "was started, unless that is the home directory, one above it, or Windows' own",
        metavar="DIR",
        many=True,
        commands=("stdio", "tools", "doctor"),
    )
    timeout: float = setting(
        30.0,
        seconds(0.1, 50),
        "seconds to wait for Devin to answer one request, at most 50",
        metavar="S",
    )
    log_level: str = setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "how much to log",
        metavar="debug|info|warning|error",
        commands=(*SERVING, "sandbox"),
    )
    log_format: str = setting(
        "",
        one_of("json", "console"),
        "how to log; default: console when stderr is a terminal, else json",
        metavar="json|console",
        commands=(*SERVING, "sandbox"),
    )
    result_limit: int = setting(
        25_000, whole(2_000, 1_000_000), "longest tool result, in characters", metavar="CHARS"
    )
    max_upstream_requests: int = setting(
        64, whole(1, 1000), "requests this process sends to Devin at once; more wait", metavar="N"
    )
    cache_ttl: float = setting(
        30.0,
        seconds(0, 3600),
        "seconds for which notes, playbooks and lists may be kept for browsing; 0 keeps nothing",
        metavar="S",
    )
    host: str = setting(
        "127.0.0.1",
        host_name,
        "address to listen on; http needs --auth where it is not loopback",
        commands=("http", "sandbox"),
    )
    port: int = setting(
        8000,
        whole(0, 65_535),
        "port to listen on; 0 takes a free one",
        commands=("http", "sandbox"),
        metavar="N",
    )
    auth: str = setting(
        "none",
        one_of("none", "caller-key", "token", "oauth"),
        "who may call, and whose Devin key is used: none = everybody "
        "on this machine, this server's key; caller-key = each request brings its own in X-Devin-Api-Key; token = who has a "
        "token of --caller-tokens-file, this server's key; oauth = who has an access token of --oauth-issuer, this server's key",
        metavar="MODE",
        commands=(*HTTP, "config"),
    )
    caller_tokens_file: Path | None = setting(
        None,
        file,
        "who may call with which bearer token: a line name:sha256 for each, read again when it changes",
        metavar="FILE",
        commands=HTTP,
    )
    oauth_issuer: str = setting(
        "",
        issuer,
        "authorization server whose access tokens are taken",
        metavar="URL",
        commands=HTTP,
    )
    oauth_audience: str = setting(
        "",
        audience,
        "what an access token must be meant for; default: --public-url",
        metavar="NAME",
        commands=HTTP,
    )
    oauth_jwks_url: str = setting(
        "",
        issuer,
        "where the issuer's keys are; default: where its metadata says",
        metavar="URL",
        commands=HTTP,
    )
    public_url: str = setting(
        "",
        web_address,
        "where clients reach this server, as https://mcp.example.com/mcp",
        metavar="URL",
        commands=HTTP,
    )
    allowed_hosts: tuple[str, ...] = setting(
        (),
        host_name,
        "names a request may be addressed to; default: on loopback its own, else that of --public-url, else all",
        metavar="A,B",
        many=True,
        commands=HTTP,
    )
    allowed_origins: tuple[str, ...] = setting(
        (),
        origin,
        "web pages that may call from a browser, as https://app.example.com",
        metavar="A,B",
        many=True,
        commands=HTTP,
    )
    max_calls_per_caller: int = setting(
        32,
        whole(1, 10_000),
        "calls one caller may have in flight; more get a 429",
        metavar="N",
        commands=HTTP,
    )
    workers: int = setting(1, whole(1, 64), "processes that serve", metavar="N", commands=HTTP)
    forwarded_allow_ips: str = setting(
        "127.0.0.1",
        addresses,
        "proxies whose X-Forwarded-For is believed, for the log",
        metavar="A,B",
        commands=HTTP,
    )
    metrics_port: int | None = setting(
        None,
        whole(0, 65_535),
        "port for /metrics; without it there are none",
        metavar="N",
        commands=HTTP,
    )
    metrics_host: str = setting(
        "127.0.0.1", host_name, "address for /metrics", metavar="HOST", commands=HTTP
    )
    redis_url: str = setting(
        "",
        redis_address,
        "Redis through which replicas tell each other of changes, as redis://host:6379; needs the extra redis",
        metavar="URL",
        secret=True,
        commands=HTTP,
    )

    def __post_init__(self) -> None:
        if not self.files_root:
            object.__setattr__(self, "files_root", working_directory())
        if not self.log_format:
            object.__setattr__(self, "log_format", "console" if sys.stderr.isatty() else "json")


SETTINGS = settings_of(Settings)


def resolve(
    flags: Mapping[str, Sequence[str]], environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings from what the command line gave (name -> texts) and the environment.

    Raises BadSetting with one line for the person who set it.
    """
    environ = os.environ if environ is None else environ
    _refuse_unknown(environ)
    values: dict[str, Any] = {}
    for one in SETTINGS:
        if one.name in flags:
            values[one.name] = one.value(one.split_flags(flags[one.name]), one.flag or one.env)
        elif environ.get(one.env, "").strip():
            values[one.name] = one.value(one.split_variable(environ[one.env]), one.env)
    return Settings(**values)


def origins(flags: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The name of each setting that is no default -> flag or environment."""
    given = {one.name: "environment" for one in SETTINGS if os.environ.get(one.env, "").strip()}
    return given | dict.fromkeys(flags, "flag")


def environment_value(name: str) -> str | None:
    """The value of a variable the person allowed with --allow-secret-env, read when it is needed."""
    return os.environ.get(name)


def path_of_uv() -> str:
    """Where uv is, if it started this process; it says so itself."""
    return os.environ.get("UV", "")


def child_environment() -> dict[str, str]:
    """The environment for a server that the demo starts: everything but Devin's own settings, the key above all."""
    return {
        name: value for name, value in os.environ.items() if not name.upper().startswith("DEVIN_")
    }


def share_metrics(folder: Path) -> None:
    """From now on this process and its children count in files below `folder` (prometheus_client asks the environment)."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def trace_exporters() -> list[str]:
    """Where traces go, by OpenTelemetry's usual variables: the exporters' names, none unless somebody asks for traces."""
    asked = any(
        name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") for name in os.environ
    )
    names = os.environ.get("OTEL_TRACES_EXPORTER", "otlp" if asked else "none")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    otlp = f"otlp_proto_{protocol.split('/')[0]}"
    known = [otlp if name.strip() == "otlp" else name.strip() for name in names.split(",")]
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return [] if off else [name for name in known if name not in {"", "none"}]


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """A misspelt DEVIN_MCP_MAX_ACU must not silently remove a spending cap."""
    known = {one.env for one in SETTINGS}
    for name in environ:
        if name.startswith("DEVIN_MCP_") and name not in known:
            meant = closest(name, sorted(known))
            hint = f"; did you mean {meant}?" if meant else "; see devin-mcp --help"
            raise SettingsError(f"{name} is not a setting of devin-mcp{hint}")
