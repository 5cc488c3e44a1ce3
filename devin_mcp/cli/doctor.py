"""`devin-mcp doctor`: what is set, what can be reached, what the key is good for. Everything that can be told for free."""

from __future__ import annotations

import json
import platform
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal
from urllib.parse import urlsplit

import anyio

from devin_mcp import __version__
from devin_mcp.api.connectivity import ProbeResult, addresses_of, look, proxy_for
from devin_mcp.cli.tools import published_tools
from devin_mcp.operations import OPERATIONS
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings.parsers import key_state, printable
from devin_mcp.settings.settings import SETTINGS, TOOLSETS, Settings

Verdict = Literal["ok", "note", "FAIL"]

PACKAGES = ("mcp", "httpx", "pydantic", "structlog")
SLOW = 3.0
"""Seconds for an answer beyond which somebody should know."""
SKEWED = 60.0
"""Seconds by which clocks may differ before times in logs and tokens mislead."""
A_TOKEN = 4
"""Characters, roughly."""
WIDTH = 110
KINDS = {"apk_user_": "a personal v1 key", "apk_": "a v1 key"}
_FREE = {
    one.toolset: one.v1.path({})
    for one in OPERATIONS
    if one.v1 and not one.v1.writes and "{" not in one.v1.template
}
READS = {name: _FREE[name] for name in TOOLSETS if name in _FREE}
"""What can be asked for free; the first is asked to see whether the key is accepted."""
GET_A_KEY = "Make one in the Devin web app, Settings > API keys (v1 keys start with apk_), and set DEVIN_API_KEY; or try --sandbox."
FILL_IN = "The client's file refers to a variable that is not set where the client was started; or put a key there."


@dataclass(frozen=True)
class Check:
    check: str
    verdict: Verdict
    found: str
    advice: str = ""


def run(settings: Settings, origins: Mapping[str, str], *, as_json: bool) -> int:
    """Print what was found; 0 when nothing fails. `origins` says which settings come from a flag or the environment."""
    checks = [*_here(settings, origins), *anyio.run(_there, settings), QUOTA]
    healthy = not any(one.verdict == "FAIL" for one in checks)
    if as_json:
        found = {
            "ok": healthy,
            "settings": _settings(settings, origins),
            "checks": [asdict(one) for one in checks],
        }
        print(json.dumps(found, indent=2, ensure_ascii=True))
    else:
        for one in checks:
            _print(one)
        verdict = (
            "Everything that can be checked for free is fine."
            if healthy
            else "Something needs attention: see FAIL above."
        )
        print(f"\n{verdict} A client starts the server with an environment of its own.")
    return 0 if healthy else 1


def _print(one: Check) -> None:
    head = f"{one.verdict:<5} {one.check:<11} "
    for text in filter(None, (one.found, one.advice)):
        shown = printable(text).encode("ascii", "backslashreplace").decode()
        print(
            textwrap.fill(
                shown,
                WIDTH,
                initial_indent=head,
                subsequent_indent=" " * 18,
                break_long_words=False,
            )
        )
        head = " " * 18


def _settings(settings: Settings, origins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    def value(name: str) -> Any:
        found = getattr(settings, name)
        return (
            [str(one) for one in found]
            if isinstance(found, tuple)
            else found
            if isinstance(found, bool | int | float)
            else str(found or "")
        )

    return {
        one.name: {
            "from": origins.get(one.name, "default"),
            **({} if one.secret else {"value": value(one.name)}),
        }
        for one in SETTINGS
    }


def _here(settings: Settings, origins: Mapping[str, str]) -> list[Check]:
    """What this machine alone can tell."""
    view = visible_tools(settings, "stdio")
    tools = published_tools(view)
    size = len(json.dumps(tools, separators=(",", ":")))
    given = [
        f"{one.flag if origins[one.name] == 'flag' else one.env} ({origins[one.name]})"
        for one in SETTINGS
        if one.name in origins
    ]
    roots = ", ".join(str(one) for one in settings.files_root)
    return [
        Check(
            "devin-mcp",
            "ok",
            f"{__version__}; {', '.join(f'{name} {version(name)}' for name in PACKAGES)}",
        ),
        Check("Python", "ok", f"{platform.python_version()} at {sys.executable}"),
        Check("Settings", "ok", ", ".join(given) or "all are defaults"),
        _key(settings),
        Check(
            "Tools",
            "ok",
            f"{len(tools)} visible; tools/list costs {size:,} bytes, about {size // A_TOKEN:,} tokens",
            ", ".join(tool["name"].removeprefix("devin_") for tool in tools),
        ),
        Check(
            "Files",
            "ok" if roots else "note",
            f"read and written below {roots}" if roots else "no directory is allowed",
            ""
            if roots
            else "Start it in a project's directory, or allow one with --files-root DIR.",
        ),
    ]


def _key(settings: Settings) -> Check:
    if settings.sandbox:
        return Check("Key", "ok", "none is needed with --sandbox")
    match key_state(settings.api_key):
        case "missing":
            return Check("Key", "FAIL", "there is none", GET_A_KEY)
        case "placeholder":
            return Check("Key", "FAIL", "only a placeholder that nobody filled in", FILL_IN)
        case "other_api":
            return Check(
                "Key",
                "FAIL",
                "a key of the Organization API (v3), which this server does not serve yet",
                GET_A_KEY,
            )
        case "usable":
            kind = next(
                (text for start, text in KINDS.items() if settings.api_key.startswith(start)), None
            )
            return (
                Check("Key", "ok", f"{kind} is set")
                if kind
                else Check("Key", "note", "of a kind unknown here", "v1 keys start with apk_.")
            )


async def _there(settings: Settings) -> list[Check]:
    """What takes a look at Devin."""
    if settings.sandbox:
        from devin_mcp.sandbox import sandbox_app

        return _answers(
            {name: await look(settings, path, sandbox_app()) for name, path in READS.items()},
            settings,
        )
    way = _way(settings)
    if any(one.verdict == "FAIL" for one in [_key(settings), *way]):
        return way
    looks: dict[str, ProbeResult] = {}
    for name, path in READS.items():
        looks[name] = await look(settings, path)
        if (
            looks["sessions"].status != 200 or not looks["sessions"].is_data
        ):  # then the others would only say so again
            break
    return [*way, *_answers(looks, settings)]


def _way(settings: Settings) -> list[Check]:
    host, proxy = urlsplit(settings.base_url).hostname or "", proxy_for(settings.base_url)
    trusted = f" and {settings.ca_bundle}" if settings.ca_bundle else ""
    way = [
        Check("Address", "ok", settings.base_url),
        Check("Proxy", "ok", proxy or "none"),
        Check("Trust", "ok", f"the system's and certifi's certificates{trusted}"),
    ]
    if proxy is None:
        try:
            way.append(Check("DNS", "ok", f"{host} is {', '.join(addresses_of(host)[:4])}"))
        except OSError:
            way.append(
                Check(
                    "DNS",
                    "FAIL",
                    f"{host} cannot be found",
                    "Check DEVIN_BASE_URL, the network, and whether a proxy is needed.",
                )
            )
    return way


def _answers(looks: Mapping[str, ProbeResult], settings: Settings) -> list[Check]:
    first = looks["sessions"]
    if first.status is None:
        return [
            Check(
                "Devin", "FAIL", first.problem, "Check DEVIN_BASE_URL, the proxy and SSL_CERT_FILE."
            )
        ]
    spoke = "" if settings.sandbox else f", {first.tls or 'without TLS'}"
    checks = [
        Check(
            "Devin",
            "ok" if first.seconds < SLOW else "note",
            f"answers in {first.seconds * 1000:.0f} ms{spoke}",
        )
    ]
    if first.skew is not None:
        late = abs(first.skew) > SKEWED
        checks.append(
            Check(
                "Clock",
                "note" if late else "ok",
                f"{first.skew:+.0f} s from Devin's",
                "Set this machine's clock." if late else "",
            )
        )
    if first.status == 200 and not first.is_data:
        found = "what answers is a web page and not the Devin API"
        return [
            *checks,
            Check(
                "Accepted",
                "FAIL",
                found,
                "A proxy may want you to sign in with a browser first; check DEVIN_BASE_URL.",
            ),
        ]
    if first.status != 200:
        return [*checks, Check("Accepted", "FAIL", *_refused(first.status))]
    known = [name for name, one in looks.items() if one.status == 200 and one.is_data]
    missing = [name for name in looks if name not in known]
    found = f"the key reads {', '.join(known)}" + (
        f", but not {', '.join(missing)}" if missing else ""
    )
    return [
        *checks,
        Check(
            "Accepted",
            "note" if missing else "ok",
            found,
            "Whether it may write shows when it does." if missing else "",
        ),
    ]


def _refused(status: int) -> tuple[str, str]:
    if status == 401:
        return "Devin does not accept the key (401)", GET_A_KEY
    if status == 403:
        return (
            "the key may not read sessions (403)",
            "It may be of another kind, or its user may lack the permission.",
        )
    if 300 <= status < 400:
        return (
            f"Devin's address leads elsewhere ({status})",
            "Check DEVIN_BASE_URL, and whether somebody wants you to sign in.",
        )
    if status == 404:
        return "this is not the Devin API (404)", "Check DEVIN_BASE_URL; /v1 is added to it."
    return (
        f"Devin answered with {status}",
        "Try again in a minute; if it stays so, look at Devin's status page.",
    )


QUOTA = Check(
    "Quota",
    "note",
    "cannot be seen without spending: an organization that is out of ACUs refuses only to start sessions",
)
