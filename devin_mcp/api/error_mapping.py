"""From Devin's response, or from its absence, to one of errors.py (v1.md §8, v3.md §11)."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

import httpx

from devin_mcp import errors
from devin_mcp.api.endpoint import BETA_PREFIX, Endpoint
from devin_mcp.api.environment_transport import ROUTE, Route
from devin_mcp.api.error_body import parse_error, reason_of
from devin_mcp.api.quotation import quote
from devin_mcp.api.request_state import RequestState
from devin_mcp.api.response_body import ResponseNotHeld
from devin_mcp.api.responses import is_initializing, is_session_limit, retry_after
from devin_mcp.keys import KEY_PREFIX_HINT

if TYPE_CHECKING:
    from devin_mcp.api.proxies import EnvironmentProxy

SYNONYMS = {"repos": ("repository", "repositories")}
"""Field of a request -> other words for it in Devin's reasons."""

CHECK_ADDRESS = "(is DEVIN_BASE_URL right, is a proxy needed?)"
SOMETHING_IN_BETWEEN = "Something in between, such as a proxy or a gateway,"
CHECK_THE_WAY = (
    "Nothing was changed. A proxy may refuse, or want somebody to sign in; or DEVIN_BASE_URL is "
    "wrong."
)

_GATEWAY_TIMEOUTS = frozenset({408, 499})
"""A gateway gave up waiting, although it had passed the request on."""
_NOT_CONNECTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_QUOTA = re.compile(rb"out[ _]of[ _]quota|billing error|quota exceeded", re.IGNORECASE)
_NEVER_FORWARDED = frozenset({407, 511})
"""Of a proxy or network that wants a sign-in first; no origin server sends them (RFC 9110 §15.5.8,
RFC 6585 §6).
"""


def no_response_error(endpoint: Endpoint, state: RequestState, reason: str) -> errors.DevinError:
    """The error when no response came. `reason` is the rest of a sentence about Devin."""
    if endpoint.owner != "Devin":
        reason = reason.removesuffix(f" {CHECK_ADDRESS}")
    message = f"{endpoint.owner} {reason}."
    if not (state.sent or state.may_have_arrived):
        return errors.NotSent(message)
    return errors.Broken(message) if endpoint.is_read else reply_lost(endpoint, message)


def reply_lost(endpoint: Endpoint, message: str, status: int | None = None) -> errors.ReplyLost:
    """The error when a write was sent and its outcome is unknown."""
    if endpoint.retry_safe:
        advice = "Whether it was carried out is unknown; sending the same again is safe."
        return errors.ReplyLost(message, advice, status=status)
    message = f"{message} The request had left, so it may have been carried out."
    return errors.ReplyLost(message, endpoint.if_reply_lost, status=status)


def error_from_response(
    response: httpx.Response, state: RequestState, sent: object, *, private: bool
) -> errors.DevinError:
    """The error for a response that is not a success.

    `sent` is the body of the request. Nothing of it may come back in an error, so echoes of it and
    everything that looks like data are removed from Devin's reason. With `private` (secrets, files)
    Devin is not quoted at all.
    """
    status, endpoint = response.status_code, state.endpoint
    writes = not endpoint.is_read
    if status < 400:
        message = f"Devin answered with an unexpected redirect ({status})."
        if writes:  # 303 means that the write was carried out
            return reply_lost(endpoint, message, status)
        return errors.Broken(message, "Check DEVIN_BASE_URL.", status=status)
    body = parse_error(status, response.content)
    if body is None:
        return _not_from_devin(response, state)
    if status >= 500:
        message = f"Devin answered with a server error ({status})."
        return (
            reply_lost(endpoint, message, status)
            if writes
            else errors.Broken(message, status=status)
        )
    if status in _GATEWAY_TIMEOUTS and not endpoint.retry_safe:
        return reply_lost(endpoint, f"A gateway gave up waiting for Devin ({status}).", status)
    reason = reason_of(body)
    error = _refusal(response, endpoint, "" if private else quote(reason, sent))
    error.named_fields = _named_fields(reason, sent)
    return error


def _not_from_devin(response: httpx.Response, state: RequestState) -> errors.DevinError:
    """The error for a response of something in between, which says nothing about key, quota or id.

    Callers take none of them for an answer: whether a thing exists or is allowed is not known.
    """
    status, endpoint = response.status_code, state.endpoint
    message = f"{SOMETHING_IN_BETWEEN} answered instead of Devin ({status})."
    if endpoint.is_read:
        if status == 429:
            return errors.SlowDown(
                f"{SOMETHING_IN_BETWEEN} lets too few requests through to Devin (429).",
                retry_after=retry_after(response),
                status=status,
            )
        advice = None if status >= 500 and status not in _NEVER_FORWARDED else CHECK_THE_WAY
        return errors.Broken(message, advice, status=status)
    if status in _NEVER_FORWARDED and not state.may_have_arrived:
        return errors.NotSent(
            f"{message} It wants a sign-in first, and passed nothing on.",
            "Nothing was changed. Sign in to the network or the proxy, then call again.",
            status=status,
        )
    if status < 500:
        message += " What refuses in between normally passes nothing on, but that is not proven."
    return reply_lost(endpoint, message, status)


def _refusal(response: httpx.Response, endpoint: Endpoint, quoted: str) -> errors.Refused:
    status = response.status_code
    if status == 401:
        return errors.BadKey("Devin does not accept this API key (401).", status=status)
    if status == 403 and _QUOTA.search(response.content):
        return errors.OutOfQuota("The Devin organization is out of quota (403).", status=status)
    if status == 404:
        return _not_found(endpoint, quoted)
    if status == 403:
        return errors.NotAllowed(
            f"This API key may not do that (403).{quoted}",
            f"Nothing was changed. The key may be of another kind ({KEY_PREFIX_HINT}), or its "
            "user may lack the permission.",
            status=status,
        )
    if is_initializing(response):
        return errors.NotReady(
            "The session is still starting and takes no messages yet (400).", status=status
        )
    if status == 429:
        return _too_many(response, endpoint, quoted)
    if status in {400, 413, 422}:
        return errors.Invalid(
            f"Devin did not accept the request ({status}).{quoted}",
            "Nothing was changed. Correct what it names and call again.",
            status=status,
        )
    if status == 409:
        return errors.Refused(
            f"Devin refused the request as a conflict (409).{quoted}",
            "Nothing was changed. Something of that name may exist already; take another name or "
            "change the existing one.",
            status=status,
        )
    return errors.Refused(f"Devin refused the request ({status}).{quoted}", status=status)


def _not_found(endpoint: Endpoint, quoted: str) -> errors.NotFound:
    if endpoint.template.startswith(BETA_PREFIX):
        return errors.NotFound(
            "This deployment of Devin does not offer that (404).",
            "Nothing was changed. It is a beta of the Organization API.",
            status=404,
        )
    if endpoint.placeholders == {"org_id"}:
        return errors.NotFound(
            f"Devin does not know the organization, or not with this key (404).{quoted}",
            "Nothing was changed. Check DEVIN_ORG_ID, or leave it out.",
            status=404,
        )
    return errors.NotFound(f"Devin does not know that id (404).{quoted}", status=404)


def _too_many(response: httpx.Response, endpoint: Endpoint, quoted: str) -> errors.Refused:
    if is_session_limit(response, endpoint):
        return errors.TooManySessions(
            f"Too many sessions are running in this organization (429).{quoted}", status=429
        )
    return errors.SlowDown(
        f"Devin is being asked too often (429).{quoted}",
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
        return f"could not be reached {CHECK_ADDRESS}"
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
    if isinstance(cause, socket.gaierror):
        return f"could not be found: its name does not resolve {CHECK_ADDRESS}"
    if isinstance(cause, ConnectionRefusedError):
        return f"could not be reached: the connection was refused {CHECK_ADDRESS}"
    return f"could not be reached {CHECK_ADDRESS}"


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


def _named_fields(detail: str, sent: object) -> frozenset[str]:
    """Top-level fields of the request that the reason names, in the singular or plural."""
    if not isinstance(sent, dict):
        return frozenset()
    words = set(re.findall(r"[a-z_]+", detail.lower()))
    return frozenset(
        name for name in sent if words & {name, name.removesuffix("s"), *SYNONYMS.get(name, ())}
    )
