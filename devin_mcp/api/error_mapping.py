"""From Devin's answer, or its silence, to one of our errors, in our own words (devin-api/v1.md §8)."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from devin_mcp import errors
from devin_mcp.api.retry import is_initializing, is_session_cap, retry_after
from devin_mcp.observability.redaction import redactor

MAX_QUOTE_CHARS = 300

_PLAIN = re.compile(
    r"""["'(]*(?:[A-Za-z][a-z]{0,13}(?:['-][a-z]{1,13})*|[A-Z]{1,6}(?:-\d{1,3})?|\d{1,5}|[a-z]{1,14}(?:[._][a-z]{1,14}){1,6})"""
    r"""["')]*[.,:;!?]*"""
)
"""A word, an abbreviation, a small number, a field's name. Anything else in a reason may be data, and is left out."""


def refusal(
    response: httpx.Response, route: str, sent: object, *, private: bool
) -> errors.DevinError:
    """The error for a status of 400 or more that is not Devin's fault.

    `sent` is the request's body: nothing of it may come back in an error, so what Devin echoes is cut out, as is
    whatever looks like data rather than words. With `private` (secrets, files) Devin is not quoted at all.
    """
    status = response.status_code
    said = "" if private else _quote(_detail(response), sent)
    if status == 401:
        return errors.BadKey("Devin does not accept this API key (401).", status=status)
    if status == 403 and re.search(
        rb"out[ _]of[ _]quota|billing error|quota exceeded", response.content, re.IGNORECASE
    ):
        return errors.OutOfQuota("The Devin organization is out of quota (403).", status=status)
    if status == 403:
        return errors.NotAllowed(
            f"This API key may not do that (403).{said}",
            "Nothing was changed. The key may be of another kind (v1 keys start with apk_) or its user may lack the "
            "permission; writing playbooks needs the permission to manage the organization's playbooks.",
            status=status,
        )
    if status == 404:
        return errors.NotFound(f"Devin does not know that id (404).{said}", status=status)
    if is_initializing(response):
        return errors.NotReady(
            "The session is still starting and takes no messages yet (400).", status=status
        )
    if is_session_cap(response, route):
        return errors.TooManySessions(
            f"Too many sessions are running in this organization (429).{said}", status=status
        )
    if status == 429:
        return errors.SlowDown(
            f"Devin is being asked too often (429).{said}",
            retry_after=retry_after(response),
            status=status,
        )
    if status in {400, 413, 422}:
        return errors.Invalid(
            f"Devin did not accept the request ({status}).{said}",
            "Nothing was changed. Correct what it names and call again.",
            status=status,
        )
    if status == 409:
        advice = "Nothing was changed. Something of that name may exist already; take another name or change the existing one."
        return errors.Refused(
            f"Devin refused the request as a conflict (409).{said}", advice, status=status
        )
    return errors.Refused(f"Devin refused the request ({status}).{said}", status=status)


def trouble(error: httpx.RequestError) -> str:
    """A sentence's end: `Devin …`. The exception's own text names hosts and paths, so it is not used."""
    if isinstance(error, httpx.ProxyError):
        return "could not be reached through the configured proxy"
    if isinstance(error, httpx.ConnectError) and isinstance(_root(error), ssl.SSLError):
        return "could not be trusted: its certificate did not verify (SSL_CERT_FILE adds a company's own)"
    if isinstance(error, httpx.ConnectError) and isinstance(_root(error), socket.gaierror):
        return "could not be found: its name does not resolve (is DEVIN_BASE_URL right, is a proxy needed?)"
    if isinstance(error, httpx.ConnectError) and isinstance(_root(error), ConnectionRefusedError):
        return "could not be reached: the connection was refused (is DEVIN_BASE_URL right, is a proxy needed?)"
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return "could not be reached (is DEVIN_BASE_URL right, is a proxy needed?)"
    if isinstance(error, httpx.PoolTimeout):
        return "could not be asked: too many requests were already waiting"
    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(error, httpx.DecodingError):
        return "sent an answer that is too large or damaged"
    return "broke the connection off before its answer was complete"


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return error


def _detail(response: httpx.Response) -> str:
    """Devin's own reason: a text, or of a validation list only `loc` and `msg`. Never a page of HTML."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    detail: Any = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail
    if not isinstance(detail, list):
        return ""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
        for item in detail
        if isinstance(item, dict)
        and isinstance(item.get("loc"), list)
        and isinstance(item.get("msg"), str)
    )


def _quote(detail: str, sent: object) -> str:
    if not detail or "<" in detail:
        return ""
    for text in sorted(set(_texts(sent)), key=len, reverse=True):
        if len(text) >= 4 and text in detail:
            detail = detail.replace(text, "…")
    words = [word if _PLAIN.fullmatch(word) else "…" for word in redactor.clean(detail).split()]
    detail = re.sub(r"…(?: …)+", "…", " ".join(words))
    if len(detail) > MAX_QUOTE_CHARS:
        detail = detail[: MAX_QUOTE_CHARS - 1] + "…"
    return f" Devin says: {json.dumps(detail.rstrip('.'), ensure_ascii=False)}."


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
