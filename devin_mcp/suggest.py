"""Suggests the intended name for a misspelt one."""

from __future__ import annotations

from collections.abc import Sequence

MAX_NAME_CHARS = 200
"""A longer text is no misspelt name, and comparing it takes long."""


def did_you_mean(text: str, choices: Sequence[str]) -> str:
    """`; did you mean x?` if one of the choices is close to the text, else an empty string."""
    match = closest(text.strip().lower(), choices)
    return f"; did you mean {match}?" if match else ""


def closest(text: str, choices: Sequence[str]) -> str | None:
    """The choice that was misspelt or abbreviated; None if no choice is close or several are."""
    if len(text) > MAX_NAME_CHARS:
        return None
    import difflib  # seldom needed, and a part of each start otherwise

    matches = difflib.get_close_matches(text, choices, n=1, cutoff=0.8)
    if matches:
        return matches[0]
    completions = [choice for choice in choices if len(text) >= 3 and choice.startswith(text)]
    return completions[0] if len(completions) == 1 else None
