"""NO_PROXY: hosts that are reached without a proxy.

There is no standard. The forms that curl, Go, requests, macOS and Windows know are accepted: a name
with all its subdomains, also with `.` or `*.` in front; `*` in any place; an address; a range of
addresses; each of them with a port, in brackets or after a scheme.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

import httpx
import idna

from devin_mcp.observability.log import event

_SEPARATORS = re.compile(r"[\s,;]+")
_IPV4 = re.compile(r"(\d+\.\d+\.\d+\.\d+|\d+(?:\.\d+){0,2}(?=/))(/[\d.]+)?")
_IPV6 = re.compile(r"\[?([0-9a-f]*:[0-9a-f:.]+)(?:%[^\]/]*)?\]?(/\d+)?\]?")
_BRACKETS_AND_PORT = re.compile(r"(\[.*\]):(\d+|\*)")
_NAME_AND_PORT = re.compile(r"([^:\[\]]+):(\d+|\*)")
_NAME = re.compile(r"[a-z0-9_.*-]+")
_CLASSES = {"*": None, "<local>": re.compile(r"[^.:]+")}
"""Classes of hosts; <local> of Windows is every name without a dot."""
_PORTS = {"http": 80, "https": 443}
MAX_SHOWN_CHARS = 60


@dataclass(frozen=True)
class _Entry:
    """One entry; what is None matches everything."""

    scheme: str | None
    port: int | None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    name: re.Pattern[str] | None

    def matches(self, url: httpx.URL) -> bool:
        if self.scheme not in {None, url.scheme}:
            return False
        if self.port not in {None, url.port or _PORTS.get(url.scheme)}:
            return False
        host = url.raw_host.decode("ascii").strip("[]").rstrip(".")
        if self.network is not None:
            address = _address(host)
            return address is not None and address in self.network
        return self.name is None or self.name.fullmatch(host) is not None


@dataclass(frozen=True)
class NoProxy:
    """The value of the variable."""

    entries: tuple[_Entry, ...]
    ignored: tuple[str, ...]
    """Entries of no known form."""

    def matches(self, url: httpx.URL) -> bool:
        return any(entry.matches(url) for entry in self.entries)


@lru_cache(maxsize=8)
def read_no_proxy(variable: str, value: str) -> NoProxy:
    """Parse the variable's value. Entries of no known form are ignored, and logged once."""
    entries, ignored = [], []
    for part in _SEPARATORS.split(value):
        text = part.strip("\"'")  # `docker run --env-file` keeps the quotes of its file
        try:
            if text:
                entries.append(_parse(text.lower()))
        except ValueError:
            ignored.append(text.rpartition("@")[2][:MAX_SHOWN_CHARS])  # without a password
    if ignored:
        why = f"no host, address or range: {', '.join(ignored)}"
        event("variable_ignored", level="warning", variable=variable, why=why)
    return NoProxy(tuple(entries), tuple(ignored))


def _parse(text: str) -> _Entry:
    """Raises ValueError."""
    scheme, separator, host = text.rpartition("://")
    if separator:
        host = host.partition("/")[0]
    only_scheme = None if scheme in {"", "all"} else scheme
    port = None
    if match := _BRACKETS_AND_PORT.fullmatch(host) or _NAME_AND_PORT.fullmatch(host):
        host, port = match[1], None if match[2] == "*" else int(match[2])
    if host in _CLASSES:
        return _Entry(only_scheme, port, None, _CLASSES[host])
    if match := _IPV4.fullmatch(host) or _IPV6.fullmatch(host):
        address, length = match.groups(default="")
        if match.re is _IPV4:  # macOS writes 169.254/16
            address += ".0" * (3 - address.count("."))
        network = ipaddress.ip_network(address + length, strict=False)
        return _Entry(only_scheme, port, network, None)
    return _Entry(only_scheme, port, None, _name_pattern(host))


def _name_pattern(text: str) -> re.Pattern[str]:
    """Matches the name and its subdomains. Raises ValueError."""
    name = text.removeprefix("*").strip(".")
    if not name.isascii():
        name = idna.encode(name, uts46=True).decode("ascii")
    if not _NAME.fullmatch(name):
        raise ValueError("not a host name")
    return re.compile(rf"(?:.+\.)?{re.escape(name).replace(re.escape('*'), '.*')}")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
