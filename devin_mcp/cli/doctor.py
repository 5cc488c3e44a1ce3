"""`devin-mcp doctor`: checks settings, API key and connection to Devin, at no cost."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import anyio

from devin_mcp import __version__
from devin_mcp.cli.connection_checks import (
    GET_A_KEY,
    Check,
    connection_checks,
    network_checks,
)
from devin_mcp.cli.terminal import print_text, print_wrapped
from devin_mcp.cli.tools import bytes_read, tokens_of
from devin_mcp.keys import API_TITLES, KEY_PREFIX_HINT, PERSONAL_V1_PREFIX, DevinKey, api_of
from devin_mcp.observability.printable import printable_json
from devin_mcp.server.build import hide_secrets, own_key, own_tools
from devin_mcp.server.tools import published_tools
from devin_mcp.settings import SETTINGS, Settings
from devin_mcp.settings.environment import process_environment

PACKAGES = ("mcp", "httpx", "pydantic", "structlog")


FILL_IN_KEY = (
    "The client's file refers to a variable that is not set where the client was started. "
    "Set it there, or put the key into the file."
)


QUOTA = Check(
    "Quota",
    "note",
    "cannot be seen without spending: only starting a session shows that no ACUs are left",
)


def run_doctor(settings: Settings, sources: Mapping[str, str], *, as_json: bool) -> int:
    """Print the results of all checks. Returns 1 if one failed, else 0.

    `sources` says which settings are from a flag or the environment: name -> source.
    """
    hide_secrets(settings)
    checks = [
        *_local_checks(settings, sources),
        *anyio.run(_connection_checks, settings),
        QUOTA,
    ]
    is_healthy = not any(check.verdict == "FAIL" for check in checks)
    if as_json:
        report = {
            "ok": is_healthy,
            "settings": _settings_report(settings, sources),
            "checks": [asdict(check) for check in checks],
        }
        print_text(printable_json(report, indent=2))
    else:
        for check in checks:
            _print(check)
        verdict = (
            "Everything that can be checked for free is fine."
            if is_healthy
            else "Something needs attention: see FAIL above."
        )
        print(f"\n{verdict} A client starts the server with its own environment.")
    return 0 if is_healthy else 1


def _print(check: Check) -> None:
    label = f"{check.verdict:<5} {check.check:<13} "
    for text in filter(None, (check.found, check.advice)):
        print_wrapped(label, text)
        label = " " * len(label)


def _settings_report(settings: Settings, sources: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Name of each setting -> where its value comes from and, if it is no secret, the value."""
    report: dict[str, dict[str, Any]] = {}
    for setting in SETTINGS:
        report[setting.name] = {"from": sources.get(setting.name, "default")}
        if not setting.secret:
            report[setting.name]["value"] = _json_value(getattr(settings, setting.name))
    return report


def _json_value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    if isinstance(value, bool | int | float):
        return value
    return "" if value is None else str(value)


def _local_checks(settings: Settings, sources: Mapping[str, str]) -> list[Check]:
    """The checks that send nothing."""
    visible = own_tools(settings, "stdio")
    tools = published_tools(visible)
    size = sum(map(bytes_read, tools))
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    changed = [
        f"{setting.flag if sources[setting.name] == 'flag' else setting.env} "
        f"({sources[setting.name]})"
        for setting in SETTINGS
        if setting.name in sources
    ]
    return [
        Check("devin-mcp", "ok", f"{__version__}; {packages}"),
        Check("Python", "ok", f"{platform.python_version()} at {sys.executable}"),
        Check("Settings", "ok", ", ".join(changed) or "all are defaults"),
        _check_key(settings, process_environment()),
        Check(
            "Tools",
            "ok",
            f"{len(tools)} visible; a model reads {size:,} bytes of them, about "
            f"{tokens_of(size)} tokens",
            ", ".join(tool["name"].removeprefix("devin_") for tool in tools),
        ),
        _check_files(settings),
    ]


def _check_files(settings: Settings) -> Check:
    if settings.files_root:
        roots = ", ".join(str(root) for root in settings.files_root)
        return Check("Files", "ok", f"may be read and written below {roots}")
    return Check(
        "Files",
        "note",
        "no directory is allowed",
        "Start the server in a project's directory, or allow one with --files-root DIR.",
    )


def _check_key(settings: Settings, environ: Mapping[str, str]) -> Check:
    if settings.sandbox:
        return Check("Key", "ok", f"not needed with --sandbox ({settings.sandbox})")
    key = own_key(settings)
    match key.state:
        case "missing":
            return Check("Key", "FAIL", "there is none: DEVIN_API_KEY is not set", GET_A_KEY)
        case "placeholder":
            return Check("Key", "FAIL", "only a placeholder in DEVIN_API_KEY", FILL_IN_KEY)
        case "login_token":
            return Check("Key", "FAIL", "the login token of the Devin CLI, no API key", GET_A_KEY)
        case "usable":
            return _describe_key(key, settings, environ)


def _describe_key(key: DevinKey, settings: Settings, environ: Mapping[str, str]) -> Check:
    api = api_of(key.text)
    if api is None:
        how = f"DEVIN_API says {key.api}" if settings.api else f"taken for one of {key.api}"
        advice = f"Keys {KEY_PREFIX_HINT.removeprefix('keys ')}; DEVIN_API names the API of others."
        return Check("Key", "note", f"of an unknown kind, {how}", advice)
    personal = "personal " if key.text.startswith(PERSONAL_V1_PREFIX) else ""
    found = f"a {personal}key of {API_TITLES[api]} is set"
    if environ.get("DEVIN_API_KEY", "") != key.text:
        found += "; the blank or line end around it is cut off"
    if settings.api and settings.api != api:
        advice = "The prefix of the key decides. Remove DEVIN_API."
        return Check("Key", "note", f"{found}; DEVIN_API={settings.api} is ignored", advice)
    return Check("Key", "ok", found)


async def _connection_checks(settings: Settings) -> list[Check]:
    key = own_key(settings)
    if settings.sandbox:
        from devin_mcp.sandbox import sandbox_app

        return await connection_checks(settings, key, sandbox_app())
    checks = network_checks(settings)
    if key.state != "usable" or any(check.verdict == "FAIL" for check in checks):
        return checks
    return [*checks, *await connection_checks(settings, key)]
