"""Text for people: secrets are redacted, and characters escaped that nobody can see or that control
a terminal or the direction of text.

Whatever a person reads passes through here where it leaves the server: questions, progress, titles
and descriptions, errors, the console log, the output of commands. Data in results is not escaped.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from devin_mcp.observability.redaction import redactor

MAX_QUOTE_CHARS = 160
MAX_READ_CHARS = 20_000
"""Of a text of which one line is shown: no line and no secret is longer."""

_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional and zero-width ones among them), surrogate, private use, not
assigned, line and paragraph separator. What a later Unicode assigns is escaped until Python knows
it."""
_INVISIBLE_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Fillers and the like, which are letters, marks or symbols by their category."""
_ZERO_WIDTH_NON_JOINER = "\u200c"
_ZERO_WIDTH_JOINER = "\u200d"
_VIRAMA_CLASS = 9


def printable(text: str, *, keep_line_ends: bool = False) -> str:
    """The text redacted, and each of these characters as an escape of Python's."""
    text = redactor.clean(text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char
        if (keep_line_ends and char == "\n") or not _must_be_escaped(text, index)
        else char.encode("unicode_escape").decode()
        for index, char in enumerate(text)
    )


def one_line(text: str, max_chars: int) -> str:
    """The text without line breaks, cut with an ellipsis.

    Redacted before it is cut: half a secret would not be recognized.
    """
    flat = " ".join(redactor.clean(text[:MAX_READ_CHARS]).split())
    if len(flat) <= max_chars and len(text) <= MAX_READ_CHARS:
        return flat
    return f"{flat[: max_chars - 1].rstrip()}…"


def quote_line(text: str, max_chars: int = MAX_QUOTE_CHARS) -> str:
    """Somebody else's text for a sentence of ours: one line, in quotation marks that it cannot end,
    printable.
    """
    return printable(json.dumps(one_line(text, max_chars), ensure_ascii=False))


def printable_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON, redacted and in ASCII."""
    return json.dumps(redactor.clean_value(value), indent=indent, ensure_ascii=True)


def _must_be_escaped(text: str, index: int) -> bool:
    char = text[index]
    if char == " " or char.isalnum():
        return char in _INVISIBLE_LETTERS
    if char in {_ZERO_WIDTH_NON_JOINER, _ZERO_WIDTH_JOINER}:
        return not _joins(text, index)
    if _is_variation_selector(char):
        return index == 0 or not _is_visible(text[index - 1])
    return not _is_visible(char)


def _is_visible(char: str) -> bool:
    return not (
        unicodedata.category(char) in _ESCAPED_CATEGORIES
        or char in _INVISIBLE_LETTERS
        or _is_variation_selector(char)
    )


def _is_variation_selector(char: str) -> bool:
    """One after a visible character chooses its form (emoji, Han, Mongolian). More than one can
    carry hidden text.
    """
    return (
        char in "\u180b\u180c\u180d\u180f"
        or "\ufe00" <= char <= "\ufe0f"
        or ("\U000e0100" <= char <= "\U000e01ef")
    )


def _joins(text: str, index: int) -> bool:
    """True for a joiner that legitimate text needs: after a virama (Indic scripts), between letters
    of Arabic script (Persian), and a zero-width joiner between the parts of an emoji.
    """
    before, after = text[max(0, index - 1) : index], text[index + 1 : index + 2]
    if not before or not after:
        return False
    if unicodedata.combining(before) == _VIRAMA_CLASS:
        return after.isalpha()
    if {unicodedata.bidirectional(before), unicodedata.bidirectional(after)} == {"AL"}:
        return True
    is_emoji_part = unicodedata.category(before) in {"So", "Sk"} or before == "\ufe0f"
    return (
        text[index] == _ZERO_WIDTH_JOINER
        and is_emoji_part
        and unicodedata.category(after) in {"So", "Sm"}
    )
