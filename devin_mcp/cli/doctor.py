"""`devin-mcp doctor`: checks settings, API key and connection to Devin, at no cost."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio

from devin_mcp import __version__
from devin_mcp.api.connectivity import ProbeResult, probe, proxy_for, resolve_host
from devin_mcp.cli.terminal import print_wrapped, printable
from devin_mcp.cli.tools import json_size
from devin_mcp.keys import PERSONAL_V1_PREFIX, WHERE_TO_GET_A_KEY, api_of, key_state
from devin_mcp.operations import OPERATIONS
from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import SETTINGS, TOOLSETS, Settings

Verdict = Literal["ok", "note", "FAIL"]

PACKAGES = ("mcp", "httpx", "pydantic", "structlog")
SLOW_SECONDS = 3.0
"""A response that takes longer is worth a note."""
MAX_CLOCK_SKEW_SECONDS = 60.0
"""With a larger skew, times in logs and tokens are misleading."""
BYTES_PER_TOKEN = 4
"""A rough average."""


@dataclass(frozen=True)
class Probe:
    """A request that shows whether the key may read one toolset."""

    path: str
    toolset: str


PROBES = {
    operation.operation_id: Probe(operation.v1.path({}), operation.toolset)
    for operation in sorted(OPERATIONS, key=lambda operation: TOOLSETS.index(operation.toolset))
    if operation.v1 and operation.v1.is_read and "{" not in operation.v1.template
}
"""Operation id -> request, for each operation that reads and needs no id."""
FIRST_PROBE = "list_sessions"
"""Shows whether the key is accepted at all."""

GET_A_KEY = f"Make one {WHERE_TO_GET_A_KEY} and set DEVIN_API_KEY; or try --sandbox."
FILL_IN_KEY = (
    "The client's file refers to a variable that is not set where the client was started. "
    "Set it there, or put the key into the file."
)


@dataclass(frozen=True)
class Check:
    """The result of one check, with advice if something is wrong."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


QUOTA = Check(
    "Quota",
    "note",
    "cannot be seen without spending: only starting a session shows that no ACUs are left",
)


def run_doctor(settings: Settings, sources: Mapping[str, str], *, as_json: bool) -> int:
    """Print the results of all checks. Returns 1 if one failed, else 0.

    `sources` says which settings are from a flag or the environment: name -> source.
    """
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
        print(json.dumps(report, indent=2, ensure_ascii=True))
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
    label = f"{check.verdict:<5} {check.check:<11} "
    for text in filter(None, (check.found, check.advice)):
        print_wrapped(label, printable(text).encode("ascii", "backslashreplace").decode())
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
    tools = published_tools(visible_tools(settings, "stdio"))
    size = json_size(tools)
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
        _check_key(settings),
        Check(
            "Tools",
            "ok",
            f"{len(tools)} visible; tools/list costs {size:,} bytes, "
            f"about {size // BYTES_PER_TOKEN:,} tokens",
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


def _check_key(settings: Settings) -> Check:
    if settings.sandbox:
        return Check("Key", "ok", "not needed with --sandbox")
    match key_state(settings.api_key):
        case "missing":
            return Check("Key", "FAIL", "there is none: DEVIN_API_KEY is not set", GET_A_KEY)
        case "placeholder":
            return Check("Key", "FAIL", "only a placeholder in DEVIN_API_KEY", FILL_IN_KEY)
        case "other_api":
            return Check(
                "Key",
                "FAIL",
                "a key of the Organization API (v3), which this server does not serve yet",
                GET_A_KEY,
            )
        case "usable":
            if settings.api_key.startswith(PERSONAL_V1_PREFIX):
                return Check("Key", "ok", "a personal v1 key is set")
            if api := api_of(settings.api_key):
                return Check("Key", "ok", f"a {api} key is set")
            return Check("Key", "note", "of an unknown kind", f"Get one {WHERE_TO_GET_A_KEY}.")


async def _connection_checks(settings: Settings) -> list[Check]:
    if settings.sandbox:
        from devin_mcp.sandbox import sandbox_app

        return _response_checks(await _probe_all(settings, sandbox_app()), settings)
    checks = _network_checks(settings)
    if any(check.verdict == "FAIL" for check in [_check_key(settings), *checks]):
        return checks
    return [*checks, *_response_checks(await _probe_all(settings), settings)]


async def _probe_all(settings: Settings, app: Any = None) -> dict[str, ProbeResult]:
    """Operation id -> result. If the first probe fails, the others would as well, and are not sent.

    `app` is the ASGI application of the sandbox.
    """
    results: dict[str, ProbeResult] = {}
    for operation_id in (FIRST_PROBE, *(name for name in PROBES if name != FIRST_PROBE)):
        results[operation_id] = await probe(settings, PROBES[operation_id].path, app)
        if not _is_readable(results[FIRST_PROBE]):
            break
    return results


def _is_readable(result: ProbeResult) -> bool:
    return result.status == 200 and result.is_json


def _network_checks(settings: Settings) -> list[Check]:
    host, proxy = urlsplit(settings.base_url).hostname or "", proxy_for(settings.base_url)
    own_bundle = f", and {settings.ca_bundle}" if settings.ca_bundle else ""
    checks = [
        Check("Address", "ok", settings.base_url),
        Check("Proxy", "ok", proxy or "none"),
        Check("Trust", "ok", f"certificates of the system and of certifi{own_bundle}"),
    ]
    if proxy is None:  # a proxy resolves the name itself
        try:
            checks.append(Check("DNS", "ok", f"{host} is {', '.join(resolve_host(host)[:4])}"))
        except OSError:
            advice = "Check DEVIN_BASE_URL, the network, and whether a proxy is needed."
            checks.append(Check("DNS", "FAIL", f"{host} cannot be found", advice))
    return checks


def _response_checks(results: Mapping[str, ProbeResult], settings: Settings) -> list[Check]:
    first = results[FIRST_PROBE]
    if first.status is None:
        advice = "Check DEVIN_BASE_URL, the proxy and SSL_CERT_FILE."
        return [Check("Devin", "FAIL", first.problem, advice)]
    tls = "" if settings.sandbox else f", {first.tls or 'without TLS'}"
    verdict: Verdict = "ok" if first.seconds < SLOW_SECONDS else "note"
    checks = [Check("Devin", verdict, f"answers in {first.seconds * 1000:.0f} ms{tls}")]
    if first.clock_skew is not None:
        checks.append(_check_clock(first.clock_skew))
    checks.append(_check_access(results))
    return checks


def _check_clock(skew: float) -> Check:
    difference = f"{skew:+.0f} s from Devin's"
    if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
        return Check("Clock", "note", difference, "Set this machine's clock.")
    return Check("Clock", "ok", difference)


def _check_access(results: Mapping[str, ProbeResult]) -> Check:
    """What the key may read."""
    first = results[FIRST_PROBE]
    if first.status != 200:
        return Check("Accepted", "FAIL", *_refusal(first.status or 0))
    if not first.is_json:
        return Check(
            "Accepted",
            "FAIL",
            "the response is a web page, not the Devin API",
            "A proxy may want you to sign in with a browser first; check DEVIN_BASE_URL.",
        )
    readable = [PROBES[name].toolset for name in results if _is_readable(results[name])]
    refused = [PROBES[name].toolset for name in results if not _is_readable(results[name])]
    summary = f"the key reads {', '.join(readable)}"
    if refused:
        return Check(
            "Accepted",
            "note",
            f"{summary}, but not {', '.join(refused)}",
            "Whether it may write is only known when it does.",
        )
    return Check("Accepted", "ok", summary)


def _refusal(status: int) -> tuple[str, str]:
    """What a status means, and what to do about it."""
    if status == 401:
        return "Devin does not accept the key (401)", GET_A_KEY
    if status == 403:
        return (
            "the key may not read sessions (403)",
            "It may be of another kind, or its user may lack the permission.",
        )
    if 300 <= status < 400:
        return (
            f"the base URL leads elsewhere ({status})",
            "Check DEVIN_BASE_URL, and whether a proxy wants you to sign in.",
        )
    if status == 404:
        return "this is not the Devin API (404)", "Check DEVIN_BASE_URL; /v1 is added to it."
    return (
        f"Devin answered with {status}",
        "Try again in a minute. If it persists, look at Devin's status page.",
    )
