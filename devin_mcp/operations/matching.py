"""What can be browsed, picked and completed: how a resource, a prompt and a completion are declared.

Each stands beside the operations of its noun and names the tools it goes with, so that it is there only where they are.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import Any, Concatenate, ParamSpec

from devin_mcp.api.client import ApiCall
from devin_mcp.errors import Invalid, NotFound
from devin_mcp.operations.catalog import Operation
from devin_mcp.operations.context import House
from devin_mcp.operations.markdown import one_line
from devin_mcp.settings.settings import Toolset

P = ParamSpec("P")

MAX_COMPLETIONS = 100
MAX_SUGGESTIONS = 5
"""Candidates that an error names."""
MAX_NAME_CHARS = 48


@dataclass(frozen=True)
class ResourceEntry:
    """One thing in the list of resources; `size` in bytes of what reading it gives."""

    id: str
    title: str
    description: str
    size: int
    modified: str | None = None


@dataclass(frozen=True)
class ResourceContent:
    """What reading a resource gives: markdown, and what to do next where there is something to do."""

    text: str
    next: str = ""


Read = Callable[Concatenate[ApiCall, House, P], Awaitable[ResourceContent]]
Entries = Callable[[ApiCall, House], Awaitable[Sequence[ResourceEntry]]]


@dataclass(frozen=True)
class Resource:
    """Something to read at an address. With `entries` each of them stands in the list of resources."""

    uri: str
    """RFC 6570; its variables are parameters of `read`."""
    read: Read[...]
    tool: Operation[Any, Any]
    """The tool that shows the same, for the many hosts that hide resources from their models."""
    entries: Entries | None = None
    list_tool: Operation[Any, Any] | None = None
    """The tool that lists the same things; the entries are there only where it is."""
    lives: bool = False
    """Changes by itself, so a host should not keep what it read."""

    @property
    def toolset(self) -> Toolset:
        return self.tool.toolset

    @property
    def is_template(self) -> bool:
        return "{" in self.uri


RESOURCES: list[Resource] = []


def resource(
    uri: str,
    *,
    tool: Operation[Any, Any],
    entries: Entries | None = None,
    list_tool: Operation[Any, Any] | None = None,
    lives: bool = False,
) -> Callable[[Read[P]], Read[P]]:
    """Declare what is read at `uri`. The docstring tells a person what it is, the function's name is its title."""

    def declare(read: Read[P]) -> Read[P]:
        RESOURCES.append(Resource(uri, read, tool, entries, list_tool or tool, lives))
        return read

    return declare


@dataclass(frozen=True)
class RenderedPrompt:
    """What a prompt puts into the conversation: a text in the user's voice, and a document beside it."""

    text: str
    """Ours, with `{name}` where one of `values` goes: sentences about hidden tools are left out of ours alone."""
    values: Mapping[str, str] = field(default_factory=dict)
    attached: tuple[str, str] | None = None
    """Its address and its markdown."""

    def filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda place: self.values[place[1]], text)


@dataclass(frozen=True)
class PromptVariant:
    """One of many prompts that are made from things; `subject` is handed to the function."""

    title: str
    description: str
    subject: Any


RenderPrompt = Callable[..., Awaitable[RenderedPrompt]]
Variants = Callable[[ApiCall, House], Awaitable[Mapping[str, PromptVariant]]]


@dataclass(frozen=True)
class Prompt:
    """A prompt under its function's name, or with `cards` one for each of them under their own."""

    say: RenderPrompt
    needs: tuple[Operation[Any, Any], ...]
    cards: Variants | None = None
    list_tool: Operation[Any, Any] | None = None
    """The tool that lists what the cards are made from."""

    @property
    def name(self) -> str:
        return self.say.__name__


PROMPTS: list[Prompt] = []


def prompt(
    *needs: Operation[Any, Any],
    cards: Variants | None = None,
    list_tool: Operation[Any, Any] | None = None,
) -> Callable[[RenderPrompt], RenderPrompt]:
    """Declare a prompt; it is there only where all tools that it `needs` are.

    Its parameters are its arguments; one made from cards gets the card's subject first.
    """

    def declare(say: RenderPrompt) -> RenderPrompt:
        PROMPTS.append(Prompt(say, (*needs, *([list_tool] if list_tool else [])), cards, list_tool))
        return say

    return declare


@dataclass(frozen=True)
class Candidate:
    """Something a person may mean: the value that goes into the argument, and the other words it is known by."""

    value: str
    words: tuple[str, ...] = ()


Candidates = Callable[[ApiCall, House, Mapping[str, str]], Awaitable[Sequence[Candidate]]]


@dataclass(frozen=True)
class Completion:
    """Values for the arguments and variables of one name, there where the tool `twin` is."""

    candidates: Candidates
    tool: Operation[Any, Any]


COMPLETIONS: dict[str, list[Completion]] = {}
"""Name -> what completes it, all of them together."""


def completes(*names: str, tool: Operation[Any, Any]) -> Callable[[Candidates], Candidates]:
    """Declare what completes the arguments and variables of these names; the last parameter is what was filled in before."""

    def declare(candidates: Candidates) -> Candidates:
        for name in names:
            COMPLETIONS.setdefault(name, []).append(Completion(candidates, tool))
        return candidates

    return declare


def best(candidates: Iterable[Candidate], typed: str) -> list[str]:
    """The values that fit what was typed, best match first; among equals in the order they came."""
    wanted = _plain(typed.strip())
    ranked = [(rank, one.value) for one in candidates if (rank := _rank(one, wanted)) is not None]
    ranked.sort(key=lambda pair: pair[0])
    return list(dict.fromkeys(value for _, value in ranked))


def match_one(candidates: Sequence[Candidate], said: str, what: str, tool: str) -> str:
    """The value of the one that is meant: by its value, else by a word of it, in any case but whole.

    Raises NotFound or Invalid, naming those that may be meant; their words are a third party's and quoted as data.
    """
    wanted = _plain(said.strip())
    found = [one for one in candidates if one.value == said.strip()]
    found = found or [
        one for one in candidates if wanted in {_plain(word) for word in one.words if word}
    ]
    if len(found) == 1:
        return found[0].value
    if found:
        raise Invalid(
            f"More than one {what} is called that: {_quoted(found)}.",
            "Nothing was started. Give the id.",
        )
    likely = set(best(candidates, said)) or set(_close(candidates, wanted))
    near = [one for one in candidates if one.value in likely]
    meant = f" Perhaps one of these is meant: {_quoted(near)}." if near else ""
    raise NotFound(
        f"None of the {len(candidates)} {what}s has that id or name.{meant}",
        f"Nothing was started. See them all with {tool}.",
    )


def _quoted(some: Sequence[Candidate]) -> str:
    return ", ".join(
        f"{json.dumps(one_line(one.words[-1], 80), ensure_ascii=False)} ({one.value})"
        for one in some[:MAX_SUGGESTIONS]
    )


def _close(candidates: Sequence[Candidate], wanted: str) -> list[str]:
    words = {_plain(word): one.value for one in candidates for word in (*one.words, one.value)}
    return [words[word] for word in difflib.get_close_matches(wanted, words, n=MAX_SUGGESTIONS)]


def _rank(one: Candidate, wanted: str) -> int | None:
    """Whole, start, start of a word, anywhere; the words count before the value, because ids begin alike."""
    if not wanted:
        return 0
    places = []
    for later, text in enumerate((*one.words, one.value)):
        known = _plain(text)
        bare = known.removeprefix("!")
        if wanted in {known, bare}:
            places.append(0)
        elif known.startswith(wanted) or bare.startswith(wanted):
            places.append(1 if later < len(one.words) else 2)
        elif wanted in known:
            places.append(3 if re.search(rf"(?<!\w){re.escape(wanted)}", known) else 4)
    return min(places, default=None)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def slug(text: str) -> str:
    """`Review a pull request` -> `review-a-pull-request`; empty when no plain letter or digit is in it."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME_CHARS].rstrip("-")


def macro_text(macro: str | None) -> str:
    """A macro with its exclamation mark, which Devin keeps or leaves out as it was written."""
    return f"!{macro.removeprefix('!')}" if macro else ""


def unique_names(wanted: Iterable[tuple[str, str]], taken: Iterable[str]) -> dict[str, str]:
    """The name of each id, for (id, wished name) pairs with the oldest first: who was there first keeps the name.

    Others get the end of their id, four characters or as many more as it takes.
    """
    names: dict[str, str] = {}
    used = set(taken)
    for one, wish in wanted:
        if one in names:
            continue
        wish_or_id = wish or f"playbook-{one[-4:]}"
        further = (f"{wish_or_id}-{one[-length:]}" for length in count(4))
        names[one] = next(
            name
            for name in chain([wish_or_id], islice(further, len(one)), _numbered(wish_or_id))
            if name not in used
        )
        used.add(names[one])
    return names


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}-{number}" for number in count(2))
