"""From Devin's response, or from its absence, to one of errors.py (v1.md §8, v3.md §11)."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx

from devin_mcp import errors
from devin_mcp.api.endpoint import BETA_PREFIX, Endpoint
from devin_mcp.api.environment_transport import ROUTE, Route
from devin_mcp.api.proxies import EnvironmentProxy
from devin_mcp.api.request_state import RequestState
from devin_mcp.api.response_body import ResponseNotHeld
from devin_mcp.api.responses import is_initializing, is_session_limit, retry_after
from devin_mcp.keys import KEY_PREFIX_HINT
from devin_mcp.observability.printable import quote_line
from devin_mcp.observability.redaction import redactor

MAX_QUOTE_CHARS = 300
MIN_ECHO_CHARS = 4
"""Shorter texts of the request may appear in Devin's reason: they are ordinary words."""

SYNONYMS = {"repos": ("repository", "repositories")}
"""Field of a request -> other words for it in Devin's reasons."""

_GATEWAY_TIMEOUTS = frozenset({408, 499})
"""A gateway gave up waiting, although it had passed the request on."""
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_QUOTA = re.compile(rb"out[ _]of[ _]quota|billing error|quota exceeded", re.IGNORECASE)
_PLAIN_WORD = re.compile(
    r"""["'(]*(?:[A-Za-z][a-z]{0,13}(?:['-][a-z]{1,13})*|[A-Z]{1,6}(?:-\d{1,3})?|\d{1,5}"""
    r"""|[a-z]{1,14}(?:[._][a-z]{1,14}){1,6})["')]*[.,:;!?]*"""
)
"""A word, an abbreviation, a small number or a field name. Anything else may be data."""


def no_response_error(endpoint: Endpoint, state: RequestState, reason: str) -> errors.DevinError:
    """The error when no response came. `reason` is the rest of a sentence about Devin."""
    if not (state.sent or state.may_have_arrived):
        return errors.NotSent(f"Devin {reason}.")
    if endpoint.is_read:
        return errors.Broken(f"Devin {reason}.")
    return reply_lost(endpoint, f"Devin {reason}.")


def reply_lost(endpoint: Endpoint, message: str, status: int | None = None) -> errors.ReplyLost:
    """The error when a write was sent and its outcome is unknown."""
    if endpoint.retry_safe:
        advice = "Whether it was carried out is unknown; sending the same again is safe."
        return errors.ReplyLost(message, advice, status=status)
    message = f"{message} The request had left, so it may have been carried out."
    return errors.ReplyLost(message, endpoint.if_reply_lost, status=status)


def error_from_response(
    response: httpx.Response, endpoint: Endpoint, sent: object, *, private: bool
) -> errors.DevinError:
    """The error for a response that is not a success.

    `sent` is the body of the request. Nothing of it may come back in an error, so echoes of it and
    everything that looks like data are removed from Devin's reason. With `private` (secrets, files)
    Devin is not quoted at all.
    """
    status, writes = response.status_code, not endpoint.is_read
    if status >= 500:
        message = f"Devin answered with a server error ({status})."
        return (
            reply_lost(endpoint, message, status)
            if writes
            else errors.Broken(message, status=status)
        )
    if status in _GATEWAY_TIMEOUTS and not endpoint.retry_safe:
        return reply_lost(endpoint, f"A gateway gave up waiting for Devin ({status}).", status)
    if status < 400:
        message = f"Devin answered with an unexpected redirect ({status})."
        if writes:  # 303 means that the write was carried out
            return reply_lost(endpoint, message, status)
        return errors.Broken(message, "Check DEVIN_BASE_URL.", status=status)
    detail = _detail(response)
    error = _refusal(response, endpoint, "" if private else _quote(detail, sent))
    error.named_fields = _named_fields(detail, sent)
    return error


def is_web_page(response: httpx.Response) -> bool:
    """True for a page of a proxy in between, whose words are not Devin's."""
    return "html" in response.headers.get("content-type", "")


def _refusal(response: httpx.Response, endpoint: Endpoint, quote: str) -> errors.Refused:
    status = response.status_code
    if status in {401, 403} and is_web_page(response):
        return errors.NotAllowed(
            f"A web page answered instead of Devin ({status}).",
            "Nothing was changed. A proxy in between may refuse, or want somebody to sign in.",
            status=status,
        )
    if status == 401:
        return errors.BadKey("Devin does not accept this API key (401).", status=status)
    if status == 403 and _QUOTA.search(response.content):
        return errors.OutOfQuota("The Devin organization is out of quota (403).", status=status)
    if status == 404:
        return _not_found(endpoint, quote)
    if status == 403:
        return errors.NotAllowed(
            f"This API key may not do that (403).{quote}",
            f"Nothing was changed. The key may be of another kind ({KEY_PREFIX_HINT}), or its "
            "user may lack the permission.",
            status=status,
        )
    if is_initializing(response):
        return errors.NotReady(
            "The session is still starting and takes no messages yet (400).", status=status
        )
    if status == 429:
        return _too_many(response, endpoint, quote)
    if status in {400, 413, 422}:
        return errors.Invalid(
            f"Devin did not accept the request ({status}).{quote}",
            "Nothing was changed. Correct what it names and call again.",
            status=status,
        )
    if status == 409:
        return errors.Refused(
            f"Devin refused the request as a conflict (409).{quote}",
            "Nothing was changed. Something of that name may exist already; take another name or "
            "change the existing one.",
            status=status,
        )
    return errors.Refused(f"Devin refused the request ({status}).{quote}", status=status)


def _not_found(endpoint: Endpoint, quote: str) -> errors.NotFound:
    if endpoint.template.startswith(BETA_PREFIX):
        return errors.NotFound(
            "This deployment of Devin does not offer that (404).",
            "Nothing was changed. It is a beta of the Organization API.",
            status=404,
        )
    if endpoint.placeholders == {"org_id"}:
        return errors.NotFound(
            f"Devin does not know the organization, or not with this key (404).{quote}",
            "Nothing was changed. Check DEVIN_ORG_ID, or leave it out.",
            status=404,
        )
    return errors.NotFound(f"Devin does not know that id (404).{quote}", status=404)


def _too_many(response: httpx.Response, endpoint: Endpoint, quote: str) -> errors.Refused:
    if is_session_limit(response, endpoint):
        return errors.TooManySessions(
            f"Too many sessions are running in this organization (429).{quote}", status=429
        )
    return errors.SlowDown(
        f"Devin is being asked too often (429).{quote}",
        retry_after=retry_after(response),
        status=429,
    )


def describe_transport_error(error: httpx.RequestError) -> str:
    """The rest of a sentence about Devin. The exception's own text names hosts and paths."""
    route, cause = _route_of(error), _root_cause(error)
    if isinstance(error, httpx.ConnectError) and isinstance(cause, ssl.SSLCertVerificationError):
        hint = route.ca_bundle_problem or "adds a company's own"
        return f"could not be trusted: its certificate did not verify (SSL_CERT_FILE {hint})"
    if route.proxy is not None and isinstance(error, _NOT_CONNECTED):
        return _describe_proxy_error(route.proxy, cause)
    if isinstance(error, httpx.ConnectError):
        return _describe_connect_error(cause)
    if isinstance(error, httpx.ConnectTimeout):
        return "could not be reached (is DEVIN_BASE_URL right, is a proxy needed?)"
    if isinstance(error, httpx.PoolTimeout):
        return "could not be asked: too many requests were already waiting"
    if isinstance(error, httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(error, ResponseNotHeld):
        return "sent an answer that does not fit into this server's memory while it serves others"
    if isinstance(error, httpx.DecodingError):
        return "sent an answer that is too large or damaged"
    return "broke the connection off before its answer was complete"


def _route_of(error: httpx.RequestError) -> Route:
    try:
        route: Route = error.request.extensions.get(ROUTE, Route())
    except RuntimeError:  # damaged data in a stream: its request arrived
        return Route()
    return route


def _describe_connect_error(cause: BaseException) -> str:
    check = "(is DEVIN_BASE_URL right, is a proxy needed?)"
    if isinstance(cause, socket.gaierror):
        return f"could not be found: its name does not resolve {check}"
    if isinstance(cause, ConnectionRefusedError):
        return f"could not be reached: the connection was refused {check}"
    return f"could not be reached {check}"


def _describe_proxy_error(proxy: EnvironmentProxy, cause: BaseException) -> str:
    what = f"the proxy from {proxy.source}"
    if isinstance(cause, socket.gaierror):
        return f"could not be reached: the name of {what} does not resolve"
    if isinstance(cause, ConnectionRefusedError):
        return f"could not be reached: {what} refused the connection"
    return f"could not be reached through {what}"


def _root_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None or error.__context__ is not None:
        error = error.__cause__ or error.__context__ or error
    return error


def _detail(response: httpx.Response) -> str:
    """Devin's reason: `loc` and `msg` of a validation list in `errors` (RFC 9457) or `detail`, else
    the text of `detail`. Never a page of HTML.
    """
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict):
        return ""
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


def _quote(detail: str, sent: object) -> str:
    """Devin's reason as a quoted sentence, without echoes and data; empty if nothing is left."""
    if not detail or "<" in detail:
        return ""
    for text in sorted(set(_texts(sent)), key=len, reverse=True):
        if len(text) >= MIN_ECHO_CHARS and text in detail:
            detail = detail.replace(text, "…")
    words = redactor.clean(detail).split()
    detail = " ".join(word if _PLAIN_WORD.fullmatch(word) else "…" for word in words)
    detail = re.sub(r"…(?: …)+", "…", detail)
    return f" Devin says: {quote_line(detail.rstrip('.'), MAX_QUOTE_CHARS)}."


def _named_fields(detail: str, sent: object) -> frozenset[str]:
    """Top-level fields of the request that the reason names, in the singular or plural."""
    if not isinstance(sent, dict):
        return frozenset()
    words = set(re.findall(r"[a-z_]+", detail.lower()))
    return frozenset(
        name for name in sent if words & {name, name.removesuffix("s"), *SYNONYMS.get(name, ())}
    )


def _texts(value: object) -> Iterator[str]:
    """All strings inside a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
