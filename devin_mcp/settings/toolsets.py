"""Toolsets: groups of tools that are switched on and off together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT = "default"
ALL = "all"


@dataclass(frozen=True)
class Toolset:
    """A group of tools."""

    name: str
    description: str
    """What its tools do, for a person who chooses."""
    is_default: bool = True
    """False if it is off until it is asked for: not every conversation should pay for it."""


SESSIONS = Toolset("sessions", "start, follow, answer, archive and end sessions")
ATTACHMENTS = Toolset("attachments", "files for Devin, and files that Devin made")
SECRETS = Toolset("secrets", "credentials that Devin may use")
KNOWLEDGE = Toolset("knowledge", "notes that Devin remembers")
PLAYBOOKS = Toolset("playbooks", "reusable instructions for sessions")
REPOSITORIES = Toolset("repositories", "what Devin can reach")
INSIGHTS = Toolset("insights", "analysis of a session, and a better prompt", is_default=False)
SCHEDULES = Toolset("schedules", "sessions that start by themselves", is_default=False)
USAGE = Toolset("usage", "ACUs per day", is_default=False)

TOOLSETS = (
    SESSIONS,
    ATTACHMENTS,
    SECRETS,
    KNOWLEDGE,
    PLAYBOOKS,
    REPOSITORIES,
    INSIGHTS,
    SCHEDULES,
    USAGE,
)
"""In the order in which tools are listed."""
DEFAULT_TOOLSETS = frozenset(toolset for toolset in TOOLSETS if toolset.is_default)
TOOLSET_WORDS = (DEFAULT, ALL, *(toolset.name for toolset in TOOLSETS))
"""What a person may write where toolsets are named."""


def toolsets_named(words: Iterable[str]) -> frozenset[Toolset]:
    """The toolsets that words of TOOLSET_WORDS name. Raises KeyError for another word."""
    by_word = {toolset.name: frozenset({toolset}) for toolset in TOOLSETS}
    by_word |= {DEFAULT: DEFAULT_TOOLSETS, ALL: frozenset(TOOLSETS)}
    return frozenset().union(*(by_word[word] for word in words))
