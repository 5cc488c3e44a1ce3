"""Authentication middleware: attaches an Identity to the request or rejects it.

Only --auth oauth answers 401. Both official clients start OAuth discovery at any 401, with or
without a challenge, so the other modes answer 403 with a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.keys import (
    DEFAULT_API,
    KEY_HEADER,
    KEY_PATTERN,
    LOGIN_TOKEN_PREFIX,
    LOGIN_TOKEN_PROBLEM,
    ORG_ID_HEADER,
    ORG_ID_PATTERN,
    WHERE_TO_GET_A_KEY,
    DevinApi,
    DevinKey,
)
from devin_mcp.server.http.caller_tokens import CallerTokens
from devin_mcp.server.http.rejections import RequestRejected, peer_of
from devin_mcp.server.identity import IDENTITY_KEY, Identity
from devin_mcp.server.visibility import READ_ONLY, UNRESTRICTED, Restriction
from devin_mcp.settings.parsers import parse_bool
from devin_mcp.settings.toolsets import TOOLSET_WORDS, toolsets_named

READ_ONLY_HEADER = "x-devin-mcp-read-only"
TOOLSETS_HEADER = "x-devin-mcp-toolsets"
OUR_HEADERS = (KEY_HEADER, ORG_ID_HEADER, READ_ONLY_HEADER, TOOLSETS_HEADER)


class Authenticator(Protocol):
    """One mode of --auth."""

    accepts_caller_keys: bool
    """Whether callers send their own Devin keys."""

    async def authenticate(self, headers: Headers, restriction: Restriction) -> Identity:
        """The caller, limited to `restriction`. Raises RequestRejected."""
        ...


class NoAuth:
    """none: every request, with the server's key. The server listens on a loopback address only."""

    accepts_caller_keys = False

    def __init__(self, key: DevinKey) -> None:
        self._key = key

    async def authenticate(
        self,
        headers: Headers,  # noqa: ARG002 - the signature of the protocol
        restriction: Restriction,
    ) -> Identity:
        return Identity(key=self._key, restriction=restriction)


class CallerKeyAuth:
    """caller-key: each request brings its own Devin key; the server's key is never used."""

    accepts_caller_keys = True

    def __init__(
        self,
        tokens: CallerTokens | None,
        org_id: str = "",
        default_api: DevinApi = DEFAULT_API,
    ) -> None:
        """With `tokens`, a caller needs one of them in addition to the key. `org_id` is the
        organization of callers that name none.
        """
        self._tokens = tokens
        self._org_id = org_id
        self._default_api = default_api

    async def authenticate(self, headers: Headers, restriction: Restriction) -> Identity:
        if self._tokens is None:
            key = self._caller_key(headers)
            return Identity(key=key, name=key.label, restriction=restriction)
        token = bearer_token(headers)
        name = self._tokens.caller_for(token)
        return Identity(
            key=self._caller_key(headers),
            name=name,
            restriction=restriction,
            is_still_valid=self._tokens.validity_check(token),
        )

    def _caller_key(self, headers: Headers) -> DevinKey:
        org_id = headers.get(ORG_ID_HEADER, "").strip() or self._org_id
        if org_id and ORG_ID_PATTERN.fullmatch(org_id) is None:
            raise RequestRejected(
                400, "organization", f"{ORG_ID_HEADER} must be an organization's id (org-1a2b)."
            )
        return DevinKey(_caller_key_text(headers), org_id, self._default_api)


class TokenAuth:
    """token: callers with a bearer token of --caller-tokens-file, with the server's key."""

    accepts_caller_keys = False

    def __init__(self, key: DevinKey, tokens: CallerTokens) -> None:
        self._key = key
        self._tokens = tokens

    async def authenticate(self, headers: Headers, restriction: Restriction) -> Identity:
        token = bearer_token(headers)
        return Identity(
            key=self._key,
            name=self._tokens.caller_for(token),
            restriction=restriction,
            is_still_valid=self._tokens.validity_check(token),
        )


class AuthMiddleware:
    """ASGI middleware around everything that needs a caller."""

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        allowed_hosts: Collection[str] | None,
        allowed_origins: Collection[str],
    ) -> None:
        """`allowed_hosts` None accepts any Host header; an origin `http://localhost:*` stands for
        every port.
        """
        self._app = app
        self._authenticator = authenticator
        self._allowed_hosts = allowed_hosts
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            identity = await self._identify(Headers(scope=scope))
            scope[IDENTITY_KEY] = replace(identity, peer=peer_of(scope))
        except RequestRejected as rejection:
            await rejection.send_response(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _identify(self, headers: Headers) -> Identity:
        self._check_host_and_origin(headers)
        _check_credential_headers(headers)
        if not self._authenticator.accepts_caller_keys:
            _check_unused_headers(headers)
        return await self._authenticator.authenticate(headers, _requested_restriction(headers))

    def _check_host_and_origin(self, headers: Headers) -> None:
        """Prevents DNS rebinding: a web page must not reach a server through the browser of its
        visitor.
        """
        host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        if (
            self._allowed_hosts is not None
            and re.sub(r":\d+$", "", host) not in self._allowed_hosts
        ):
            raise RequestRejected(
                421,
                "host",
                "This server is not known by that name; --allowed-hosts names more.",
                facts={"host": host} if _HOST.fullmatch(host) else None,
            )
        at_any_port = re.sub(r"(:\d+)?$", ":*", origin, count=1)
        if origin and self._allowed_origins.isdisjoint({origin, at_any_port}):
            raise RequestRejected(
                403,
                "origin",
                "Web pages of that origin may not call; --allowed-origins names those that may.",
            )


_HOST = re.compile(r"[a-z0-9.:\[\]-]{1,260}")
"""What a host name with a port consists of; nothing else is logged."""


def bearer_token(headers: Headers) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _check_unused_headers(headers: Headers) -> None:
    """Raises RequestRejected if a caller chooses a key or organization that would be ignored."""
    if KEY_HEADER in headers:
        raise RequestRejected(
            400,
            "unused_key",
            f"This server uses a Devin key of its own, so {KEY_HEADER} would be ignored and "
            "somebody else's ACUs spent. Leave it out, or ask for --auth caller-key.",
        )
    if ORG_ID_HEADER in headers:
        raise RequestRejected(
            400,
            "organization",
            f"This server works in the organization of its own Devin key, so {ORG_ID_HEADER} would "
            "be ignored. Leave it out, or ask for --auth caller-key.",
        )


def _caller_key_text(headers: Headers) -> str:
    """The Devin key of the request. Only what the redaction recognizes is accepted, so that no key
    can be logged.
    """
    key = headers.get(KEY_HEADER, "").strip()
    if not key:
        raise RequestRejected(
            403,
            "no_key",
            f"Send your own Devin API key in the header {KEY_HEADER} with every request.",
        )
    if key.startswith(LOGIN_TOKEN_PREFIX):
        raise RequestRejected(
            403, "malformed_key", f"{LOGIN_TOKEN_PROBLEM} Make a key {WHERE_TO_GET_A_KEY}."
        )
    if KEY_PATTERN.fullmatch(key) is None:
        raise RequestRejected(
            403,
            "malformed_key",
            f"The header {KEY_HEADER} holds no Devin API key. Make one {WHERE_TO_GET_A_KEY}.",
        )
    return key


def _check_credential_headers(headers: Headers) -> None:
    if any(len(headers.getlist(name)) > 1 for name in ("authorization", *OUR_HEADERS)):
        raise RequestRejected(
            400,
            "duplicate_header",
            "A header that says who you are or what you want was sent twice.",
        )
    if any(KEY_PATTERN.fullmatch(part) for part in headers.get("authorization", "").split()):
        raise RequestRejected(
            400,
            "key_as_token",
            "A Devin API key was sent in Authorization, which is for this server's own tokens. "
            f"If this server takes callers' keys, send it in {KEY_HEADER}.",
        )


def _requested_restriction(headers: Headers) -> Restriction:
    """What the caller gives up, by header. It cannot add to what the operator allows."""
    restriction = UNRESTRICTED
    if READ_ONLY_HEADER in headers:
        try:
            restriction = READ_ONLY if parse_bool(headers[READ_ONLY_HEADER]) else UNRESTRICTED
        except ValueError:
            raise RequestRejected(
                400, "restriction", "X-Devin-Mcp-Read-Only must be true or false."
            ) from None
    if TOOLSETS_HEADER in headers:
        words = {
            word.strip().lower() for word in headers[TOOLSETS_HEADER].split(",") if word.strip()
        }
        if not words or not words <= set(TOOLSET_WORDS):
            raise RequestRejected(
                400,
                "restriction",
                f"X-Devin-Mcp-Toolsets must name some of: {', '.join(TOOLSET_WORDS)}.",
            )
        restriction = restriction.intersect(Restriction(toolsets=toolsets_named(words)))
    return restriction
