"""The proxies that the environment or the system names, and the hosts that need none.

httpx would read the same variables, but one entry of NO_PROXY that it cannot parse (an IPv6 range,
an international name) makes it refuse every request, and it knows neither ranges nor `socks://`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.request import getproxies

import httpx

from devin_mcp.api.no_proxy import NoProxy, read_no_proxy
from devin_mcp.errors import NotSent
from devin_mcp.settings.environment import proxy_variable

SYSTEM_SETTINGS = "the system's settings"
_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
_SYNONYMS = {"socks": "socks5"}
"""GNOME sets ALL_PROXY=socks://host:port, which curl and browsers take for SOCKS 4 or 5."""


@dataclass(frozen=True)
class EnvironmentProxy:
    """One proxy, and what names it."""

    source: str
    """The variable, or SYSTEM_SETTINGS on Windows and macOS."""
    url: httpx.URL | None = field(repr=False)
    """With user name and password; None if it cannot be used."""

    @property
    def address(self) -> str:
        """The proxy without user name and password."""
        if self.url is None:
            return "an invalid URL"
        return f"{self.url.scheme}://{self.url.netloc.decode('ascii')}"

    def usable_url(self) -> httpx.URL:
        """Raises NotSent if it cannot be used."""
        if self.url is not None:
            return self.url
        raise NotSent(
            f"The proxy from {self.source} cannot be used.",
            "Nothing was sent. Use an http, https, socks5 or socks5h URL with special characters "
            "of its password percent-encoded, or unset the variable, and restart the server.",
        )


@dataclass(frozen=True)
class EnvironmentProxies:
    """All proxies, by the scheme of the requests that they are for, or `all`."""

    by_scheme: Mapping[str, EnvironmentProxy]
    no_proxy: NoProxy

    @classmethod
    def read(cls) -> Self:
        """Those of the environment, or if it names none those of the system.

        The exceptions in the system's settings are not read: urllib would look up names for them.
        """
        values = getproxies()
        proxies = {
            scheme: EnvironmentProxy(
                proxy_variable(scheme) or SYSTEM_SETTINGS, _parse_proxy(values[scheme])
            )
            for scheme in ("http", "https", "all")
            if values.get(scheme)
        }
        return cls(proxies, read_no_proxy(proxy_variable("no"), values.get("no", "")))

    def for_url(self, url: httpx.URL) -> EnvironmentProxy | None:
        """The proxy for a request; None if it is sent directly."""
        proxy = self.by_scheme.get(url.scheme) or self.by_scheme.get("all")
        return None if proxy is None or self.no_proxy.matches(url) else proxy


def _parse_proxy(text: str) -> httpx.URL | None:
    """None for a URL that cannot be used."""
    text = text.strip().strip("\"'")  # `docker run --env-file` keeps the quotes of its file
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except (httpx.InvalidURL, ValueError):
        return None
    scheme = _SYNONYMS.get(url.scheme, url.scheme)
    # A password that contains / ? or # ends the host too early.
    misparsed = b"@" in url.raw_path or "@" in url.fragment
    if misparsed or not url.host or scheme not in _SCHEMES:
        return None
    return url.copy_with(scheme=scheme)
