"""Quotes a reason of Devin in an error, without anything of the request and without data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from devin_mcp.observability.printable import quote_line
from devin_mcp.observability.redaction import redactor

MAX_QUOTE_CHARS = 300
MAX_REASON_CHARS = 4000
"""Of a reason; what follows is not read. It bounds the comparison with the request."""
MIN_ECHO_CHARS = 4
"""Shorter texts of the request may appear in Devin's reason: they are ordinary words."""
RUN_WORDS = 3
"""So many words of the request in a row are an echo of it. Two are often ordinary English."""
MIN_RUN_CHARS = 12
"""Of such a run. Three shorter words are ordinary English ("is not a")."""

_WORD = re.compile(r"[^\W_]+")
_PLAIN_WORD = re.compile(
    r"""["'(]*(?:[A-Za-z][a-z]{0,13}(?:['-][a-z]{1,13})*|[A-Z]{1,6}(?:-\d{1,3})?|\d{1,5}"""
    r"""|[a-z]{1,14}(?:[._][a-z]{1,14}){1,6})["')]*[.,:;!?]*"""
)
"""A word, an abbreviation, a small number or a field name. Anything else may be data."""


def quote(reason: str, sent: object) -> str:
    """Devin's reason as a quoted sentence, without echoes and data; empty if nothing is left.

    `sent` is the body of the request. Whole texts of it are cut, and runs of words of it, in any
    letter case and with any punctuation between the words.
    """
    if not reason or "<" in reason:
        return ""
    if len(reason) > MAX_REASON_CHARS:
        # The cut may leave the beginning of an echo, which would be too short to be recognized.
        reason = " ".join(reason[:MAX_REASON_CHARS].split()[:-RUN_WORDS]) + " …"
    texts = set(_texts(sent))
    for text in sorted(texts, key=len, reverse=True):
        if len(text) >= MIN_ECHO_CHARS and text in reason:
            reason = reason.replace(text, "…")
    words = redactor.clean(_without_runs(reason, texts)).split()
    reason = " ".join(word if _PLAIN_WORD.fullmatch(word) else "…" for word in words)
    reason = re.sub(r"…(?: …)+", "…", reason)
    return f" Devin says: {quote_line(reason.rstrip('.'), MAX_QUOTE_CHARS)}."


def _without_runs(reason: str, texts: set[str]) -> str:
    """The reason without what repeats words of the texts. Linear in the length of both."""
    found = list(_WORD.finditer(reason))
    words = [word[0].casefold() for word in found]
    places: dict[tuple[str, ...], list[int]] = {}
    """Up to RUN_WORDS words in a row of the reason -> the indexes of their first words."""
    for count in range(1, RUN_WORDS + 1):
        for start in range(len(words) - count + 1):
            places.setdefault(tuple(words[start : start + count]), []).append(start)
    is_echo, is_run = [False] * len(words), [False] * len(words)
    for text in texts:
        sent_words = [word.casefold() for word in _WORD.findall(text)]
        count = min(RUN_WORDS, len(sent_words))
        if count < RUN_WORDS and len(text) < MIN_ECHO_CHARS:
            continue
        marks = is_run if count == RUN_WORDS else is_echo
        for start in range(len(sent_words) - count + 1):
            # Removed when it is used, so that a text that repeats itself costs nothing more.
            for place in places.pop(tuple(sent_words[start : start + count]), ()):
                marks[place : place + count] = [True] * count
    for first, last in _groups(is_run):
        if found[last].end() - found[first].start() >= MIN_RUN_CHARS:
            is_echo[first : last + 1] = [True] * (last + 1 - first)
    parts, end = [], 0
    for first, last in _groups(is_echo):
        parts.append(reason[end : found[first].start()])
        end = found[last].end()
    return "…".join([*parts, reason[end:]])


def _groups(marks: list[bool]) -> Iterator[tuple[int, int]]:
    """First and last index of each group of marks in a row."""
    for is_marked, group in groupby(range(len(marks)), marks.__getitem__):
        if is_marked:
            first, *rest = group
            yield first, rest[-1] if rest else first


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
