"""The body of an error response: whether Devin wrote it, and the reason that it gives.

All errors of Devin that are documented or were observed are JSON objects (v1.md §8, v3.md §11,
v3-additions.md §11): `{"detail": text}`, FastAPI's `{"detail": [{loc, msg}]}`, or a problem
document (RFC 9457). Whatever has another shape, an empty body too, comes from something in between:
a proxy, a sign-in page, a gateway. The shape decides, because proxies and gateways that pass
Devin's body on may change its content type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

MAX_ERROR_BYTES = 256 * 1024
"""Devin's errors are short; a larger body is not Devin's."""
BLANK_PROBLEM_TYPE = "about:blank"
"""The `type` of Devin's problem documents (v3.md §11). Gateways name a page of their own."""


def is_from_devin(response: httpx.Response) -> bool:
    """True if the body of this error response has the shape of Devin's."""
    return parse_error(response.status_code, response.content) is not None


def parse_error(status: int, content: bytes) -> Mapping[str, Any] | None:
    """The JSON object of an error of Devin; None for the body of anything else."""
    if len(content) > MAX_ERROR_BYTES:
        return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("type", BLANK_PROBLEM_TYPE) != BLANK_PROBLEM_TYPE:
        return None
    detail = body.get("detail")
    is_problem = isinstance(body.get("title"), str) and (
        body.get("status") == status or "detail" in body
    )
    is_list = isinstance(detail, list) and all(isinstance(item, dict) for item in detail)
    return body if isinstance(detail, str) or is_list or is_problem else None


def reason_of(body: Mapping[str, Any]) -> str:
    """Devin's reason: `loc` and `msg` of a validation list in `errors` (RFC 9457) or `detail`, else
    the text of `detail` or `title`.
    """
    detail: Any = body.get("errors") or body.get("detail")
    if isinstance(detail, str):
        return detail
    if not isinstance(detail, list):
        texts = (body.get("detail"), body.get("title"))  # RFC 9457: detail may be null
        return next((text for text in texts if isinstance(text, str)), "")
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in detail
        if isinstance(item, dict)
        and isinstance(item.get("loc"), list)
        and isinstance(item.get("msg"), str)
    )
