"""Fuzzy matching of names: ranked completion, resolving a name to an id, and slugs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

import anyio.to_thread

from devin_mcp.errors import Invalid, NotFound
from devin_mcp.observability.printable import quote_line

MAX_COMPLETIONS = 100
MAX_SUGGESTIONS = 5
"""Candidates that an error names."""
MAX_SLUG_CHARS = 48
MAX_SUGGESTION_CHARS = 80


@dataclass(frozen=True)
class Candidate:
    """A record that a person may mean: its value (usually an id) and other words for it."""

    value: str
    words: tuple[str, ...] = ()


async def rank(candidates: Iterable[Candidate], typed: str) -> list[str]:
    """The values that match what was typed, best match first; ties keep their order. Runs in a
    thread, because there may be thousands of candidates.
    """
    return await anyio.to_thread.run_sync(_rank, candidates, typed)


def _rank(candidates: Iterable[Candidate], typed: str) -> list[str]:
    normalized = _normalize(typed.strip())
    ranked = [
        (score, candidate.value)
        for candidate in candidates
        if (score := _score(candidate, normalized)) is not None
    ]
    ranked.sort(key=lambda pair: pair[0])
    return list(dict.fromkeys(value for _, value in ranked))


async def match_one(candidates: Sequence[Candidate], name: str, kind: str, list_tool: str) -> str:
    """The value of the only candidate with this value, or else with this word in any case.

    Raises NotFound or Invalid. Both suggest candidates; their words are quoted as data. Runs in a
    thread, because there may be thousands of candidates.
    """
    return await anyio.to_thread.run_sync(_match_one, candidates, name, kind, list_tool)


def _match_one(candidates: Sequence[Candidate], name: str, kind: str, list_tool: str) -> str:
    normalized = _normalize(name.strip())
    matches = [candidate for candidate in candidates if candidate.value == name.strip()]
    matches = matches or [
        candidate
        for candidate in candidates
        if normalized in {_normalize(word) for word in candidate.words if word}
    ]
    if len(matches) == 1:
        return matches[0].value
    if matches:
        raise Invalid(
            f"More than one {kind} is called that: {_quote(matches)}.",
            "Nothing was done. Give the id.",
        )
    similar = set(_rank(candidates, name)) or set(_similar(candidates, normalized))
    suggestions = [candidate for candidate in candidates if candidate.value in similar]
    hint = f" Perhaps one of these is meant: {_quote(suggestions)}." if suggestions else ""
    raise NotFound(
        f"None of the {len(candidates)} {kind}s has that id or name.{hint}",
        f"Nothing was done. See them all with {list_tool}.",
    )


def _quote(candidates: Sequence[Candidate]) -> str:
    return ", ".join(
        f"{quote_line(candidate.words[-1], MAX_SUGGESTION_CHARS)} ({candidate.value})"
        for candidate in candidates[:MAX_SUGGESTIONS]
    )


def _similar(candidates: Sequence[Candidate], normalized: str) -> list[str]:
    import difflib  # as in suggest.py

    values = {
        _normalize(word): candidate.value
        for candidate in candidates
        for word in (*candidate.words, candidate.value)
    }
    return [
        values[word] for word in difflib.get_close_matches(normalized, values, n=MAX_SUGGESTIONS)
    ]


def _score(candidate: Candidate, typed: str) -> int | None:
    """0 whole word, 1 prefix of a word, 2 prefix of the value, 3 start of a part, 4 anywhere.

    Words count before the value, because ids begin alike. None if nothing matches.
    """
    if not typed:
        return 0
    scores = []
    for index, text in enumerate((*candidate.words, candidate.value)):
        normalized = _normalize(text)
        without_mark = normalized.removeprefix("!")
        if typed in {normalized, without_mark}:
            scores.append(0)
        elif normalized.startswith(typed) or without_mark.startswith(typed):
            scores.append(1 if index < len(candidate.words) else 2)
        elif typed in normalized:
            starts_part = re.search(rf"(?<!\w){re.escape(typed)}", normalized)
            scores.append(3 if starts_part else 4)
    return min(scores, default=None)


def _normalize(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def slug(text: str) -> str:
    """`Review a change` -> `review-a-change`; empty without an ASCII letter or digit."""
    ascii_text = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    hyphenated = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")
    return hyphenated[:MAX_SLUG_CHARS].rstrip("-")


def macro_text(macro: str | None) -> str:
    """A macro with its exclamation mark, which Devin stores or omits as it was written."""
    return f"!{macro.removeprefix('!')}" if macro else ""


def unique_names(
    preferred_names: Iterable[tuple[str, str]], reserved: Iterable[str]
) -> dict[str, str]:
    """Id -> unique name, for (id, preferred name) pairs with the oldest record first.

    The oldest record keeps a contested name; others get the end of their id, four characters or as
    many more as it takes.
    """
    names: dict[str, str] = {}
    used = set(reserved)
    for record_id, preferred_name in preferred_names:
        if record_id in names:
            continue
        base = preferred_name or f"playbook-{record_id[-4:]}"
        suffixed = (f"{base}-{record_id[-length:]}" for length in count(4))
        choices = chain([base], islice(suffixed, len(record_id)), _numbered(base))
        names[record_id] = next(name for name in choices if name not in used)
        used.add(names[record_id])
    return names


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}-{number}" for number in count(2))
