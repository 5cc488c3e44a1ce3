"""The door: a request becomes that of somebody who may call, or is answered here.

No mode but oauth answers 401: both official clients start looking for an authorization server at any 401, with or
without a challenge. So who is refused elsewhere gets a 403 and a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from devin_mcp.server.http.caller_tokens import CallerTokens
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.server.identity import Identity
from devin_mcp.server.visibility import READ_ONLY, UNRESTRICTED, Restriction
from devin_mcp.settings.parsers import parse_bool
from devin_mcp.settings.settings import TOOLSETS

KEY_HEADER = "x-devin-api-key"
READ_ONLY_HEADER = "x-devin-mcp-read-only"
TOOLSETS_HEADER = "x-devin-mcp-toolsets"
OUR_HEADERS = (KEY_HEADER, READ_ONLY_HEADER, TOOLSETS_HEADER)
IDENTITY_KEY = "devin_mcp.identity"
"""Where in the ASGI scope the caller stands once they are in."""

_DEVIN_KEY = re.compile(r"(?:apk|cog)_[A-Za-z0-9_+/=.~-]{4,508}")
"""What the redaction knows, so that no key of a caller can be written anywhere."""


class Authenticator(Protocol):
    """One of --auth."""

    takes_keys: bool
    """Whether callers bring their own Devin keys."""

    async def admit(self, headers: Headers) -> Identity:
        """Raises TurnedAway."""
        ...


class NoAuth:
    """none: whoever reaches the loopback address, with this server's key."""

    takes_keys = False

    def __init__(self, key: str) -> None:
        self._identity = Identity(key)

    async def admit(self, headers: Headers) -> Identity:  # noqa: ARG002 - modes share a shape
        return self._identity


class CallerKeyAuth:
    """caller-key: each request brings the Devin key it is to be served with, and no other is ever used."""

    takes_keys = True

    def __init__(self, tokens: CallerTokens | None) -> None:
        self._tokens = tokens

    async def admit(self, headers: Headers) -> Identity:
        front = NOBODY_IN_FRONT if self._tokens is None else _named(self._tokens, headers)
        key = headers.get(KEY_HEADER, "").strip()
        if not key:
            raise RequestRejected(
                403,
                "no_key",
                "Send your own Devin API key in the header X-Devin-Api-Key with every request.",
            )
        if _DEVIN_KEY.fullmatch(key) is None:
            raise RequestRejected(
                403,
                "no_key",
                "What is in X-Devin-Api-Key is no Devin API key; v1 keys start with apk_.",
            )
        return replace(front, key=key)


class TokenAuth:
    """token: who has one of the operator's bearer tokens, with this server's key."""

    takes_keys = False

    def __init__(self, key: str, tokens: CallerTokens) -> None:
        self._key = key
        self._tokens = tokens

    async def admit(self, headers: Headers) -> Identity:
        return replace(_named(self._tokens, headers), key=self._key)


NOBODY_IN_FRONT = Identity("")


def _named(tokens: CallerTokens, headers: Headers) -> Identity:
    token = bearer(headers)
    return Identity("", tokens.name_of(token), is_still_valid=tokens.watch(token))


class AuthMiddleware:
    """ASGI middleware around everything that needs a caller."""

    def __init__(
        self,
        app: ASGIApp,
        mode: Authenticator,
        hosts: Collection[str] | None,
        origins: Collection[str],
    ) -> None:
        """`hosts` None takes every name; `origins` are the web pages that may call, `http://localhost:*` at any port."""
        self._app = app
        self._mode = mode
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            headers = Headers(scope=scope)
            self._check_where_it_comes_from(headers)
            _check_headers(headers)
            if KEY_HEADER in headers and not self._mode.takes_keys:
                raise RequestRejected(
                    400,
                    "unused_key",
                    "This server uses a Devin key of its own, so X-Devin-Api-Key would be ignored and somebody "
                    "else's ACUs spent. Leave it out, or ask for --auth caller-key.",
                )
            identity = await self._mode.admit(headers)
            wished = _narrowing(headers)
        except RequestRejected as refusal:
            await refusal.answer(scope, receive, send)
            return
        scope[IDENTITY_KEY] = replace(identity, narrowing=identity.narrowing.and_also(wished))
        await self._app(scope, receive, send)

    def _check_where_it_comes_from(self, headers: Headers) -> None:
        """A web page must not reach a server that it can only reach through its visitor's browser (DNS rebinding)."""
        host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
        if self._hosts is not None and re.sub(r":\d+$", "", host) not in self._hosts:
            raise RequestRejected(
                421, "host", "This server is not known by that name; --allowed-hosts names more."
            )
        if origin and not {origin, re.sub(r"(:\d+)?$", ":*", origin, count=1)} & set(self._origins):
            raise RequestRejected(
                403,
                "origin",
                "Web pages of that origin may not call; --allowed-origins names those that may.",
            )


def bearer(headers: Headers) -> str:
    """The bearer token of a request, or an empty text."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _check_headers(headers: Headers) -> None:
    if any(len(headers.getlist(name)) > 1 for name in ("authorization", *OUR_HEADERS)):
        raise RequestRejected(
            400, "twice", "A header that says who you are or what you want was sent twice."
        )
    if any(_DEVIN_KEY.fullmatch(part) for part in headers.get("authorization", "").split()):
        raise RequestRejected(
            400,
            "key_as_token",
            "A Devin API key was sent in Authorization, which is for this server's own tokens. "
            "If this server takes callers' keys, send it in X-Devin-Api-Key.",
        )


def _narrowing(headers: Headers) -> Restriction:
    """What the caller does without. Nothing here can add to what the operator allows."""
    wished = UNRESTRICTED
    if READ_ONLY_HEADER in headers:
        try:
            wished = READ_ONLY if parse_bool(headers[READ_ONLY_HEADER]) else UNRESTRICTED
        except ValueError:
            raise RequestRejected(
                400, "narrowing", "X-Devin-Mcp-Read-Only must be true or false."
            ) from None
    if TOOLSETS_HEADER in headers:
        names = frozenset(
            name.strip().lower() for name in headers[TOOLSETS_HEADER].split(",") if name.strip()
        )
        if not names or not names <= frozenset(TOOLSETS):
            raise RequestRejected(
                400, "narrowing", f"X-Devin-Mcp-Toolsets must name some of: {', '.join(TOOLSETS)}."
            )
        wished = wished.and_also(Restriction(toolsets=names))
    return wished
