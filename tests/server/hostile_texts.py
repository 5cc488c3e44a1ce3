"""Texts as somebody else may write them into titles, names and notes, and what a person may see of
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from devin_mcp.sandbox.schedule_records import new_schedule
from devin_mcp.sandbox.scripts import USER_ID
from tests.operations.records import by_id, note, secret
from tests.server.contents import write_playbooks
from tests.upstream import Upstream

CHARACTERS = {
    "escape": "\x1b",
    "bell": "\x07",
    "backspace": "\x08",
    "delete": "\x7f",
    "control sequence introducer": "\x9b",
    "next line": "\x85",
    "soft hyphen": "\xad",
    "combining grapheme joiner": "\u034f",
    "Arabic letter mark": "\u061c",
    "zero-width space": "\u200b",
    "zero-width non-joiner": "\u200c",
    "zero-width joiner": "\u200d",
    "left-to-right mark": "\u200e",
    "line separator": "\u2028",
    "right-to-left override": "\u202e",
    "left-to-right isolate": "\u2066",
    "pop directional isolate": "\u2069",
    "Hangul filler": "\u3164",
    "private use": "\ue000",
    "byte order mark": "\ufeff",
    "tag": "\U000e0041",
    "hidden variation selectors": "\U000e0101\U000e0102",
    "not assigned": "\U0003fffe",
}
"""Name -> what is planted. All but the last but one must not appear at all."""

SECRET_VARIABLE = "PLANTED_SECRET"
SECRET = 'Zq7"vx\\Lm2 of-the\nsecond-line-Kw94'
"""With what JSON escapes, and with the line end of a key in PEM."""
KEYS = ("apk_user_planted0123456789abcdef", "cog_planted0123456789abcdef")
FRAGMENT_CHARS = 7
"""So many characters of a secret must not be seen."""

TEXTS = {
    **{name: f"Begin {character}end" for name, character in CHARACTERS.items()},
    **{
        f"{'cut ' if padding else ''}secret {number}": f"Begin {padding}{value}"
        for padding in ("", f"{'x' * 44} ", f"{'x' * 139} ")
        for number, value in enumerate((SECRET, *KEYS))
    },
}
"""Each is planted by itself. The padded secrets are where a title is cut."""


def write_hostile_records(upstream: Upstream) -> None:
    """Replace all notes, playbooks and secrets by one for each text."""
    texts = list(enumerate(TEXTS.values()))
    write_playbooks(upstream, *((f"playbook-{n:04d}", text, None) for n, text in texts))
    upstream.organization.notes = by_id(
        *(
            note(f"note-{n:04d}", name=text, trigger_description=text, pinned_repo=text)
            for n, text in texts
        )
    )
    upstream.organization.secrets = by_id(
        *(secret(f"secret-{n:04d}", key=text) for n, text in texts)
    )
    upstream.organization.schedules = {
        f"sched-{n:04d}": schedule(f"sched-{n:04d}", text) for n, text in texts
    }
    upstream.organization.repositories = [
        {"repo_path": f"a/{text}", "repo_name": text, "repo_description": text} for _, text in texts
    ]


def schedule(schedule_id: str, text: str) -> dict[str, Any]:
    """A schedule whose texts are all this one. It is off, so that it starts nothing."""
    fields = {"name": text, "prompt": text, "frequency": "0 2 * * *", "enabled": False}
    record = new_schedule(schedule_id, fields, datetime.now(UTC), USER_ID)
    return record | {"last_error_message": text, "consecutive_failures": 1}


def write_hostile_sessions(
    upstream: Upstream, texts: Sequence[str] = tuple(TEXTS.values())
) -> list[str]:
    """Start a session for each text, which is its title; returns their ids."""
    return [
        upstream.organization.start_session({"prompt": "sandbox:forever", "title": text}).session_id
        for text in texts
    ]


def unfit(text: str) -> list[str]:
    """What a person must not see, and is in the text."""
    seen = [name for name, character in CHARACTERS.items() if character in text]
    fragments = [
        part[start : start + FRAGMENT_CHARS]
        for secret_value in (SECRET, *KEYS)
        for part in secret_value.removeprefix("apk_").removeprefix("cog_").split("\n")
        for start in range(len(part) - FRAGMENT_CHARS + 1)
    ]
    return seen + [fragment for fragment in fragments if fragment in text]
