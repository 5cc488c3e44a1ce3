"""The server that a client's configuration names: a command, or a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devin_mcp.keys import KEY_HEADER, ORG_ID_HEADER

KEY = "DEVIN_API_KEY"
TOKEN = "DEVIN_CALLER_TOKEN"  # noqa: S105 - name of a variable

Reference = Callable[[str], str]
"""Turns the name of a variable into the client's reference to its value, such as ${env:NAME}."""


@dataclass(frozen=True)
class ServerEntry:
    """The server to configure: a command that the client starts, or the URL of a remote server."""

    command: str
    args: tuple[str, ...] = ()
    url: str = ""
    auth: str = "caller-key"
    """How the remote server authenticates its callers; a value of --auth."""
    env: Mapping[str, str] = field(default_factory=dict)
    network_variables: tuple[str, ...] = ()
    """Names of the variables that are set here and without which the server may not reach the
    network, for clients that do not pass them on."""
    org_id: str = ""
    """The organization that a remote server is asked to work in; no secret."""

    @property
    def name(self) -> str:
        return "devin-sandbox" if "--sandbox" in self.args else "devin"

    @property
    def secret(self) -> str:
        """Name of the variable with the key or token that is needed; empty if none is."""
        if self.url:
            return {"caller-key": KEY, "token": TOKEN}.get(self.auth, "")
        return "" if "--sandbox" in self.args else KEY

    @property
    def selects_tools(self) -> bool:
        """True if the flags say which tools there are."""
        flags = {arg.split("=")[0] for arg in self.args}
        return not flags.isdisjoint({"--toolsets", "--tools", "--exclude-tools"})

    @property
    def type(self) -> dict[str, str]:
        return {"type": "http" if self.url else "stdio"}

    def headers(self, refer: Reference) -> dict[str, str]:
        return self.secret_header(refer) | self.plain_headers

    def secret_header(self, refer: Reference) -> dict[str, str]:
        """The header with the key or token, if one is needed."""
        if not self.secret:
            return {}
        if self.secret == KEY:
            return {KEY_HEADER: refer(KEY)}
        return {"Authorization": f"Bearer {refer(TOKEN)}"}

    @property
    def plain_headers(self) -> dict[str, str]:
        """Headers without a secret. Only callers with their own key choose its organization."""
        has_key = self.url and self.secret == KEY
        return {ORG_ID_HEADER: self.org_id} if has_key and self.org_id else {}

    def entry(self, refer: Reference, url_name: str = "url") -> dict[str, Any]:
        """The entry in the format that most clients share."""
        if self.url:
            headers = self.headers(refer)
            return {url_name: self.url, **({"headers": headers} if headers else {})}
        env = {**self.env, **({KEY: refer(KEY)} if self.secret else {})}
        return {"command": self.command, "args": list(self.args), **({"env": env} if env else {})}
