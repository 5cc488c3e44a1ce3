"""How a text that somebody set becomes a value; each parser raises ValueError with what would be right."""

from __future__ import annotations

import difflib
import ipaddress
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


_HOST = re.compile(r"[^\s/?#@%\\<>^`{|}]{1,253}")


def switch(text: str) -> bool:
    if text.strip().lower() in {"1", "true", "yes", "on"}:
        return True
    if text.strip().lower() in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("must be true or false")


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,12}", text.strip()) is None or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if (
            re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text.strip()) is None
            or not low <= float(text) <= high
        ):
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(text)

    return parse


@dataclass(frozen=True)
class OneOf:
    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text.strip().lower() not in self.choices:
            raise ValueError(
                f"must be one of: {', '.join(self.choices)}{did_you_mean(text, self.choices)}"
            )
        return text.strip().lower()


def one_of(*choices: str) -> OneOf:
    return OneOf(choices)


def word(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", text.strip()) is None:
        raise ValueError("must be a tool's name, such as devin_list_sessions")
    return text.strip()


def sealing_key(text: str) -> str:
    if len(text.strip()) < 32:
        raise ValueError(
            "must hold keys of at least 32 characters each; `openssl rand -hex 32` makes one"
        )
    return text.strip()


def host_name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9.:-]{1,253}", text.strip("[] ")) is None:
        raise ValueError("must be a host name or an address")
    return text.strip("[] ")


def variable(text: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text.strip()) is None:
        raise ValueError("must be the name of an environment variable")
    if text.strip().upper().startswith("DEVIN_"):
        raise ValueError(
            "may not name a DEVIN_ variable: those configure this server, the key among them"
        )
    return text.strip()


def web_address(text: str) -> str:
    if not text.strip().isprintable() or set(text.strip()) & set(" $\"'<>\\^`{|}"):
        raise ValueError("must be a web address such as https://example.com")
    try:
        parts = urlsplit(text.strip())
        host = parts.hostname or ""
        _check_international(host)
    except ValueError:
        raise ValueError(
            "must be a web address such as https://example.com, with a host name that can exist"
        ) from None
    if (
        parts.scheme not in {"http", "https"}
        or parts.query
        or parts.fragment
        or not _HOST.fullmatch(host)
    ):
        raise ValueError("must be a web address such as https://example.com")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    with suppress(ValueError):
        if parts.port is None or parts.port > 0:
            return text.strip().rstrip("/")
    raise ValueError("has a port that is not from 1 to 65535")


def _check_international(host: str) -> None:
    if not host.isascii() or "xn--" in host:
        import idna

        idna.encode(host)


def base_address(text: str) -> str:
    if re.search(r"/v\d+/?$", web_address(text)):
        raise ValueError("must be the address without /v1, which is added to it")
    return web_address(text)


def issuer(text: str) -> str:
    """As written, for tokens repeat it letter by letter. Plain http only where nothing leaves the machine."""
    if (
        web_address(text)
        and urlsplit(text.strip()).scheme == "http"
        and urlsplit(text.strip()).hostname not in LOOPBACK
    ):
        raise ValueError("must be an https address")
    return text.strip()


def origin(text: str) -> str:
    if urlsplit(web_address(text)).path:
        raise ValueError("must be an origin such as https://app.example.com, without a path")
    return text.strip().rstrip("/").lower()


def audience(text: str) -> str:
    if not text.strip().isprintable() or " " in text.strip():
        raise ValueError("must be one name, often an address such as https://mcp.example.com/mcp")
    return text.strip()


def redis_address(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in {"redis", "rediss", "unix"} or not (
        parts.hostname or parts.path.strip("/")
    ):
        raise ValueError("must be an address such as redis://host:6379")
    return text.strip()


def addresses(text: str) -> str:
    for one in text.split(","):
        try:
            ipaddress.ip_network(one.strip() if one.strip() != "*" else "0.0.0.0/0", strict=False)
        except ValueError:
            raise ValueError("must be addresses or networks separated by commas, or *") from None
    return ",".join(one.strip() for one in text.split(","))


def api_key(text: str) -> str:
    if is_placeholder(text):  # said wherever a key is needed, and no reason not to start
        return text.strip()
    if (
        not text.strip().isascii()
        or not text.strip().isprintable()
        or set(text.strip()) & set(" \"'")
    ):
        raise ValueError("holds characters that no API key has; copy it again")
    return text.strip()


_STANDS_FOR_A_KEY = re.compile(r"[{}<>$%\u2026]|^apk_(user_)?[.x*]*$|^your", re.IGNORECASE)


def is_placeholder(key: str) -> bool:
    """What stands for a key in a client's configuration, where nobody put the key in its place."""
    return _STANDS_FOR_A_KEY.search(key.strip()) is not None


KeyState = Literal["missing", "placeholder", "other_api", "usable"]


def key_state(key: str) -> KeyState:
    """What can be told of a key before it is sent anywhere."""
    if not key:
        return "missing"
    if is_placeholder(key):
        return "placeholder"
    return "other_api" if key.startswith("cog_") else "usable"


def printable(text: str) -> str:
    """For a terminal: what would steer it or hide is shown as what it is."""
    return "".join(
        one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode()
        for one in text
    )


def folder(text: str) -> Path:
    return _found(text, Path.is_dir, "must be an existing directory").resolve()


def file(text: str) -> Path:
    """Links are followed anew at each look: a cluster changes a mounted file by pointing a link elsewhere."""
    return _found(text, Path.is_file, "must be an existing file").absolute()


def _found(text: str, is_there: Callable[[Path], bool], otherwise: str) -> Path:
    try:
        path = Path(text).expanduser()
        if is_there(path):
            return path
    except (
        OSError,
        RuntimeError,
        ValueError,
    ):  # nobody's home, too long a name, a name with a zero in it
        pass
    raise ValueError(otherwise)


def certificates(text: str) -> Path:
    path = file(text)
    try:
        ssl.create_default_context(cafile=path)
    except (ssl.SSLError, OSError):
        raise ValueError("must be a file of certificates in PEM form") from None
    return path


def did_you_mean(text: str, choices: Sequence[str]) -> str:
    """`; did you mean x?` when something close exists, else nothing."""
    meant = closest(text.strip().lower(), choices)
    return f"; did you mean {meant}?" if meant else ""


def closest(text: str, choices: Sequence[str]) -> str | None:
    """The one that is misspelt or cut short here; a guess that is no better than that misleads."""
    close = difflib.get_close_matches(text, choices, n=1, cutoff=0.8)
    begun = [one for one in choices if len(text) >= 3 and one.startswith(text)]
    return close[0] if close else begun[0] if len(begun) == 1 else None
