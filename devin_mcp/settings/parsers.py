"""Parsers for the texts of flags and environment variables.

Each parser returns the value or raises ValueError with a text such as "must be true or false",
which is shown after the name of the flag or variable.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from devin_mcp.keys import ORG_ID_PATTERN, is_placeholder
from devin_mcp.suggest import did_you_mean

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_HOST = re.compile(r"[^\s/?#@%\\<>^`{|}]{1,253}")


def parse_bool(text: str) -> bool:
    if text.strip().lower() in {"1", "true", "yes", "on"}:
        return True
    if text.strip().lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("must be true or false")


def int_between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,12}", text.strip()) is None or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds_between(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        is_number = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text.strip()) is not None
        if not is_number or not low <= float(text) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(text)

    return parse


@dataclass(frozen=True)
class OneOf:
    """Parser for one of a few words; upper and lower case are the same."""

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        word = text.strip().lower()
        if word not in self.choices:
            suggestion = did_you_mean(word, self.choices)
            raise ValueError(f"must be one of: {', '.join(self.choices)}{suggestion}")
        return word


def one_of(*choices: str) -> OneOf:
    return OneOf(choices)


def parse_tool_name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", text.strip()) is None:
        raise ValueError("must be a tool's name, such as devin_list_sessions")
    return text.strip()


def parse_signing_key(text: str) -> str:
    if len(text.strip()) < 32:
        raise ValueError(
            "must be keys of 32 or more characters each; `openssl rand -hex 32` makes one"
        )
    return text.strip()


def parse_host(text: str) -> str:
    host = text.strip("[] ")
    if re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", host) is None:
        raise ValueError("must be a host name or an address")
    return host


def parse_variable_name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text.strip()) is None:
        raise ValueError("must be the name of an environment variable")
    if text.strip().upper().startswith("DEVIN_"):
        raise ValueError(
            "may not name a DEVIN_ variable: those configure this server, the key among them"
        )
    return text.strip()


def parse_url(text: str) -> str:
    """An http or https URL without credentials, query and fragment; a slash at its end is cut."""
    if not text.strip().isprintable() or set(text.strip()) & set(" $\"'<>\\^`{|}"):
        raise ValueError("must be a web address such as https://example.com")
    try:
        parts = urlsplit(text.strip())
        host = parts.hostname or ""
        _check_idna(host)
    except ValueError:
        raise ValueError(
            "must be a web address such as https://example.com, with a valid host name"
        ) from None
    is_web = parts.scheme in {"http", "https"} and _HOST.fullmatch(host) is not None
    if not is_web or parts.query or parts.fragment:
        raise ValueError("must be a web address such as https://example.com")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    with suppress(ValueError):
        if parts.port is None or parts.port > 0:
            return text.strip().rstrip("/")
    raise ValueError("has a port that is not from 1 to 65535")


def _check_idna(host: str) -> None:
    """Raises idna.IDNAError, a ValueError, for an international host name that is not valid."""
    if not host.isascii() or "xn--" in host:
        import idna

        idna.encode(host)


def parse_api_base_url(text: str) -> str:
    if re.search(r"/v\d+/?$", parse_url(text)):
        raise ValueError("must be the address without /v1, which is added to it")
    return parse_url(text)


def parse_https_url(text: str) -> str:
    """An https URL, or an http URL of this machine, exactly as written.

    The `iss` claim of a token is compared with the issuer character by character, so a slash at
    the end stays.
    """
    url = text.strip()
    parse_url(url)
    if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in LOOPBACK:
        raise ValueError("must be an https address")
    return url


def parse_origin(text: str) -> str:
    if urlsplit(parse_url(text)).path:
        raise ValueError("must be an origin such as https://app.example.com, without a path")
    return text.strip().rstrip("/").lower()


def parse_audience(text: str) -> str:
    if not text.strip().isprintable() or " " in text.strip():
        raise ValueError("must be one name, often an address such as https://mcp.example.com/mcp")
    return text.strip()


def parse_redis_url(text: str) -> str:
    parts = urlsplit(text.strip())
    has_target = bool(parts.hostname or parts.path.strip("/"))
    if parts.scheme not in {"redis", "rediss", "unix"} or not has_target:
        raise ValueError("must be an address such as redis://host:6379")
    return text.strip()


def parse_networks(text: str) -> str:
    networks = [network.strip() for network in text.split(",")]
    for network in networks:
        try:
            if network != "*":
                ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError("must be addresses or networks separated by commas, or *") from None
    return ",".join(networks)


def parse_api_key(text: str) -> str:
    """The key without blanks and line ends around it, which mounted files often have.

    A placeholder is accepted, because the server starts without a key as well: every call then
    says that the key is missing.
    """
    key = text.strip()
    is_printable_ascii = key.isascii() and key.isprintable()
    if not is_placeholder(key) and (not is_printable_ascii or set(key) & set(" \"'")):
        raise ValueError("holds characters that no API key has; copy it again")
    return key


def parse_org_id(text: str) -> str:
    """A placeholder counts as absent: some clients pass on what nobody filled in."""
    if is_placeholder(text):
        return ""
    if ORG_ID_PATTERN.fullmatch(text.strip()) is None:
        raise ValueError("must be an organization's id, such as org-1a2b")
    return text.strip()


def parse_sandbox(text: str) -> str:
    """The API of the sandbox; empty for no sandbox. A plain yes is v3."""
    word = text.strip().lower()
    if word in {"v1", "v3"}:
        return word
    try:
        return "v3" if parse_bool(text) else ""
    except ValueError:
        raise ValueError("must be v1 or v3") from None


def parse_directory(text: str) -> Path:
    return _existing(text, Path.is_dir, "must be an existing directory").resolve()


def parse_file(text: str) -> Path:
    """Links are kept, because Kubernetes updates a mounted file by changing a link."""
    return _existing(text, Path.is_file, "must be an existing file").absolute()


def _existing(text: str, exists: Callable[[Path], bool], message: str) -> Path:
    try:
        path = Path(text).expanduser()
        if exists(path):
            return path
    except (OSError, RuntimeError, ValueError):
        pass  # a name that is too long, ~ of an unknown user, a name with a null byte
    raise ValueError(message)


def parse_foreign_file(text: str) -> Path:
    """The file of a variable that other programs read, too: nothing about it is an error."""
    path = Path(text.strip())
    with suppress(OSError, RuntimeError):  # ~ of an unknown user
        path = path.expanduser().absolute()
    return path
