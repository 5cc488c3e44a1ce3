"""What Devin's responses mean where the status alone does not say it (v1.md §8)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from devin_mcp.api.endpoint import Endpoint
from devin_mcp.api.error_body import is_from_devin

TRANSIENT_STATUSES = frozenset({502, 503, 504})
"""From gateways: Devin cannot be reached at the moment."""

_INITIALIZING = re.compile(rb"still initiali[sz]ing", re.IGNORECASE)
_SESSION_LIMIT = re.compile(rb"sessions? running|parallel|concurren|at once", re.IGNORECASE)


def is_transient(response: httpx.Response | None) -> bool:
    return response is not None and response.status_code in TRANSIENT_STATUSES


def is_initializing(response: httpx.Response) -> bool:
    """True if the session is still starting and cannot take a message yet (v1.md §3.7)."""
    return (
        response.status_code == 400
        and _INITIALIZING.search(response.content) is not None
        and is_from_devin(response)
    )


def is_session_limit(response: httpx.Response, endpoint: Endpoint) -> bool:
    """429 has two meanings: the request rate, or the limit of parallel sessions."""
    return (
        response.status_code == 429
        and endpoint.creates_session
        and _SESSION_LIMIT.search(response.content) is not None
        and is_from_devin(response)
    )


def is_web_page(response: httpx.Response) -> bool:
    """True for a page of a proxy in between, in place of data."""
    return "html" in response.headers.get("content-type", "").lower()


def retry_after(response: httpx.Response) -> float | None:
    """Seconds from the Retry-After header in either form (RFC 9110 §10.2.3), or None."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
