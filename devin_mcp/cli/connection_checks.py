"""The checks of `devin-mcp doctor` that contact Devin, and those of the network in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from devin_mcp.api.certificates import ca_bundle_problem
from devin_mcp.api.client import DevinClient
from devin_mcp.api.connectivity import (
    ProbeResult,
    ignored_in_no_proxy,
    probe,
    proxy_for,
    resolve_host,
)
from devin_mcp.api.proxies import EnvironmentProxy
from devin_mcp.errors import DevinError, NotAllowed, NotSent
from devin_mcp.keys import WHERE_TO_GET_A_KEY, DevinApi, DevinKey, api_of
from devin_mcp.operations.account import Account, read_account
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.services import Services
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import Settings

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


FIRST_PATHS: dict[DevinApi, str] = {"v1": "/v1/sessions", "v3": "/v3/self"}
"""What shows whether the key is accepted at all."""


async def connection_checks(settings: Settings, key: DevinKey, app: Any = None) -> list[Check]:
    """The checks that need an answer of Devin. `app` is the ASGI application of the sandbox."""
    first = await probe(settings, key, FIRST_PATHS[key.api], app)
    checks = _response_checks(first, settings)
    if first.status is None:
        return checks
    if first.status != 200:
        return [*checks, Check("Accepted", "FAIL", *_refusal(first, first.status, key))]
    if not first.is_from_devin:
        advice = "A proxy may want you to sign in with a browser first; check DEVIN_BASE_URL."
        found = "the response is a web page, not the Devin API"
        return [*checks, Check("Accepted", "FAIL", found, advice)]
    client = DevinClient(settings, app=app)
    toolsets = visible_tools(settings, "stdio").toolsets
    policy = Policy(settings.result_limit, toolsets=toolsets)
    services = Services(client, policy, max_sessions=0, cache_ttl=0)
    try:
        return [*checks, *_account_checks(await read_account(services.context(key)))]
    except DevinError as error:
        return [*checks, Check("Accepted", "FAIL", error.message, error.advice)]
    finally:
        services.close()
        await client.aclose()


def network_checks(settings: Settings) -> list[Check]:
    host, proxy = urlsplit(settings.base_url).hostname or "", proxy_for(settings.base_url)
    checks = [
        Check("Address", "ok", settings.base_url),
        _check_proxy(proxy),
        _check_trust(settings),
    ]
    if proxy is None:  # a proxy resolves the name itself
        try:
            checks.append(Check("DNS", "ok", f"{host} is {', '.join(resolve_host(host)[:4])}"))
        except OSError:
            advice = "Check DEVIN_BASE_URL, the network, and whether a proxy is needed."
            checks.append(Check("DNS", "FAIL", f"{host} cannot be found", advice))
    return checks


def _check_proxy(proxy: EnvironmentProxy | None) -> Check:
    if proxy is not None:
        try:
            proxy.usable_url()
        except NotSent as error:
            return Check("Proxy", "FAIL", error.message, error.advice)
    found = "none" if proxy is None else f"{proxy.address} (from {proxy.source})"
    ignored = ignored_in_no_proxy()
    if ignored:
        advice = f"No host, address or range, so ignored: {', '.join(ignored)}"
        return Check("Proxy", "note", f"{found}; a part of NO_PROXY is unknown", advice)
    return Check("Proxy", "ok", found)


def _check_trust(settings: Settings) -> Check:
    found = "certificates of the system and of certifi"
    problem = ca_bundle_problem(settings)
    if problem is not None:
        advice = "Correct the variable or unset it."
        return Check("Trust", "note", f"{found} only: SSL_CERT_FILE {problem}", advice)
    if settings.ca_bundle is not None:
        found = f"{found}, and {settings.ca_bundle}"
    return Check("Trust", "ok", found)


def _response_checks(first: ProbeResult, settings: Settings) -> list[Check]:
    if first.status is None:
        advice = "Check DEVIN_BASE_URL, the proxy and SSL_CERT_FILE."
        return [Check("Devin", "FAIL", first.problem, advice)]
    tls = "" if settings.sandbox else f", {first.tls or 'without TLS'}"
    verdict: Verdict = "ok" if first.seconds < SLOW_SECONDS else "note"
    who = "" if first.is_from_devin else "something in between "
    checks = [Check("Devin", verdict, f"{who}answers in {first.seconds * 1000:.0f} ms{tls}")]
    if first.clock_skew is not None:
        checks.append(_check_clock(first.clock_skew))
    return checks


def _check_clock(skew: float) -> Check:
    difference = f"{skew:+.0f} s from Devin's"
    if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
        return Check("Clock", "note", difference, "Set this machine's clock.")
    return Check("Clock", "ok", difference)


def _account_checks(account: Account) -> list[Check]:
    """Who the key is, which organization it works in, and what it may read."""
    checks = [Check("API", "ok", account.api)]
    if account.principal:
        checks.append(Check("Owner", "ok", account.principal))
    if account.problem is not None:
        problem = account.problem
        return [*checks, Check("Organization", "FAIL", problem.message, problem.advice)]
    if account.org_id:
        checks.append(Check("Organization", "ok", account.org_id))
    summary = f"the key reads {', '.join(account.readable)}"
    if not account.refused:
        return [*checks, Check("Accepted", "ok", summary)]
    if not account.readable:
        refusal = next(iter(account.refused.values()))
        return [*checks, Check("Accepted", "FAIL", refusal.message, refusal.advice)]
    found = f"{summary}, but not {', '.join(account.refused)}"
    missing = [
        f"{toolset}: {error.advice.removeprefix('Nothing was changed. ')}"
        for toolset, error in account.refused.items()
        if isinstance(error, NotAllowed)
    ]
    advice = " ".join([*missing, "Whether it may write is only known when it does."])
    return [*checks, Check("Accepted", "note", found, advice)]


def _refusal(first: ProbeResult, status: int, key: DevinKey) -> tuple[str, str]:
    """What a status means, and what to do about it."""
    if status >= 400 and not first.is_from_devin:
        advice = (
            "A proxy may refuse, or want you to sign in with a browser first; check "
            "DEVIN_BASE_URL. If it persists, look at Devin's status page."
        )
        return f"something in between answered instead of Devin ({status})", advice
    if status == 401 or (status == 403 and key.api == "v3"):
        return f"Devin does not accept the key ({status})", _other_key(key)
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
        return "this is not the Devin API (404)", "Check DEVIN_BASE_URL; /v1 or /v3 is added to it."
    return (
        f"Devin answered with {status}",
        "Try again in a minute. If it persists, look at Devin's status page.",
    )


def _other_key(key: DevinKey) -> str:
    if api_of(key.text) is None:
        return f"{GET_A_KEY} If this is a key all the same, name its API with DEVIN_API."
    return GET_A_KEY
