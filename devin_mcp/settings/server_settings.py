"""Settings of the server on both transports."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devin_mcp.keys import WHERE_TO_GET_A_KEY, DevinApi
from devin_mcp.settings.environment import default_files_root
from devin_mcp.settings.parsers import (
    int_between,
    one_of,
    parse_api_base_url,
    parse_api_key,
    parse_bool,
    parse_directory,
    parse_foreign_file,
    parse_org_id,
    parse_sandbox,
    parse_signing_key,
    parse_tool_name,
    parse_url,
    parse_variable_name,
    seconds_between,
)
from devin_mcp.settings.setting import (
    SERVER_COMMANDS,
    setting,
)
from devin_mcp.settings.toolsets import TOOLSET_WORDS

HTTP_COMMANDS = ("http",)
CALL_DEADLINE_SECONDS = 50.0
"""One call takes no longer, everything included: hosts give up at 60 (design.md §10)."""
LOCAL_COMMANDS = ("stdio", "tools", "doctor")


@dataclass(frozen=True)
class ServerSettings:
    """The key, what callers may do, and how Devin is reached."""

    api_key: str = setting(
        "",
        parse_api_key,
        f"Devin API key; get one {WHERE_TO_GET_A_KEY}",
        env="DEVIN_API_KEY",
        flag=False,
        secret=True,
    )
    org_id: str = setting(
        "",
        parse_org_id,
        "organization to work in, such as org-1a2b; needed only if a cog_ key has several",
        env="DEVIN_ORG_ID",
        metavar="ORG",
    )
    api: DevinApi | Literal[""] = setting(
        "",
        one_of("v1", "v3"),
        "API of a key that starts with neither cog_ (v3) nor apk_ (v1): v1 or v3",
        env="DEVIN_API",
        flag=False,
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
        parse_foreign_file,
        "file of CA certificates (PEM) to trust in addition to the system's",
        env="SSL_CERT_FILE",
        flag=False,
    )
    sandbox: DevinApi | Literal[""] = setting(
        "",
        parse_sandbox,
        "simulated Devin instead of the real one: no key, no network, no cost; with its "
        "Organization API (v3, the default) or its v1",
        metavar="[v3|v1]",
        bare="v3",
    )
    confirm: str = setting(
        "auto",
        one_of("auto", "always", "never"),
        "confirmation by the user before a session is ended, anything is deleted or a schedule is "
        "created or changed: auto = if the "
        "client can ask, always = refused if it cannot, never = left to the client's own approval",
        metavar="WHEN",
    )
    questions: str = setting(
        "person",
        one_of("person", "model"),
        "who gets Devin's question first, where the client keeps tasks and shows forms: person = "
        "asked in a form, model = gets it as the result",
        metavar="WHO",
        commands=("stdio", "http"),
    )
    apps: bool = setting(
        True,
        parse_bool,
        "session board for a person, shown by clients that render MCP Apps",
        commands=("stdio", "http"),
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
        one_of(*TOOLSET_WORDS),
        f"toolsets to enable: {', '.join(TOOLSET_WORDS)}; without it default, unless --tools is "
        "set; `devin-mcp tools` shows what each has and costs",
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
        "maximum ACUs per session that this server starts; used if a call gives no limit, and "
        "higher limits are refused",
    )
    max_sessions: int = setting(
        30, int_between(0, 10_000), "maximum sessions started per hour and API key"
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

    def __post_init__(self) -> None:
        if not self.files_root:
            object.__setattr__(self, "files_root", default_files_root())
        if not self.log_format:
            object.__setattr__(self, "log_format", "console" if sys.stderr.isatty() else "json")
