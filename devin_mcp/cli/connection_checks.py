"""The checks of `devin-mcp doctor` that contact Devin, and those of the network in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from devin_mcp.api.connectivity import ProbeResult, probe, proxy_for, resolve_host
from devin_mcp.keys import WHERE_TO_GET_A_KEY
from devin_mcp.operations import OPERATIONS
from devin_mcp.settings import TOOLSETS, Settings

Verdict = Literal["ok", "note", "FAIL"]

SLOW_SECONDS = 3.0
"""A response that takes longer is worth a note."""
MAX_CLOCK_SKEW_SECONDS = 60.0
"""With a larger skew, times in logs and tokens are misleading."""

GET_A_KEY = f"Make one {WHERE_TO_GET_A_KEY} and set DEVIN_API_KEY; or try --sandbox."


@dataclass(frozen=True)
class Check:
    """The result of one check, with advice if something is wrong."""

    check: str
    verdict: Verdict
    found: str
    advice: str = ""


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


async def probe_all(settings: Settings, app: Any = None) -> dict[str, ProbeResult]:
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


def network_checks(settings: Settings) -> list[Check]:
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


def response_checks(results: Mapping[str, ProbeResult], settings: Settings) -> list[Check]:
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
