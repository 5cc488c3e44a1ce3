"""Names that were replaced by standard terms must not come back.

CHANGELOG.md may name them, since people who upgrade look for them there.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

from tests.conventions.sources import assert_no_offenders, relative, tracked_files

REPLACED: dict[str, str] = {
    # Classes.
    "Knob": "Setting",
    "KNOBS": "SETTINGS",
    "BadSetting": "SettingsError",
    "NothingAtStake": "NothingToConfirm",
    "Handovers": "IdempotencyRegistry",
    "AsItIs": "RawRecord",
    "NotesAsTheyAre": "RawNotes",
    "SessionRow": "SessionSummary",
    "SessionBody": "Session",
    "PhaseWord": "PhaseText",
    "AnswerTo": "ReplyTo",
    "WithNews": "WithUpdates",
    "WithOwnKey": "CallerKeyAuth",
    "WithToken": "TokenAuth",
    "WithAccessToken": "OAuthAuth",
    "TurnedAway": "RequestRejected",
    # Functions, constants, settings, events.
    "knob": "setting",
    "knobs": "settings",
    "still_good": "is_still_valid",
    "turned_away": "http_rejected",
    "request_key": "idempotency_key",
    "next_offset": "next_cursor",
    "ONLY_READS": "READ_ONLY",
    "IF_LOST": "IF_REPLY_LOST",
    "LAST_WORDS": "FINAL_MESSAGE_GRACE",
    "MOST_ATTEMPTS": "MAX_ATTEMPTS",
    "MOST_TAGS": "MAX_TAGS",
    "KEY_SHAPE": "keys.KEY_PATTERN",
    "state_of_key": "keys.key_state",
    "looked_at": "session_view",
    "begin_to_close": "finish_waits",
    "was_just_told": "recently_messaged",
    "expects_words": "awaiting_final_message",
    "then_wait": "wait_after",
    "made_from": "variants",
    "brought_to": "injected_parameters",
    "hints_of": "type_hints",
    "for_a_body": "body_timeout",
    "all_told": "drain",
    # Files and fixtures.
    "witness": "third party",
    "witnesses": "third-party packages",
    "WITNESSES": "third-party packages",
    # Flags and sandbox words.
    "--bus": "--redis-url",
    "--max-upstream": "--max-upstream-requests",
    "--max-concurrent": "--max-calls-per-caller",
    "--secret-env": "--allow-secret-env",
    "sandbox:starve": "sandbox:never-starts",
    "sandbox:cap": "sandbox:session-limit",
}
"""Old identifier -> its term; looked for as a whole word in every text file."""

ENGLISH_WORDS: dict[str, str] = {
    "House": "Context",
    "Starts": "SessionRateLimit",
    "Gathering": "buffered lines in observability.log",
    "Stake": "Confirmation",
    "Handover": "IdempotentStart",
    "Followed": "SessionPoller",
    "Following": "Pollers",
    "Waited": "SessionUpdate",
    "Handout": "RenderedPrompt",
    "Narrowing": "Restriction",
    "Door": "AuthMiddleware",
    "Everybody": "NoAuth",
    "Surprise": "DemoFailure",
    "one": "the noun: session, setting, operation",
    "told": "received, reported, messages",
    "heard": "received, notifications",
    "hear": "receive, on_message",
    "hears": "expect",
    "tell": "notify, report",
    "tells": "notifies",
    "mended": "replace_lone_surrogates",
    "bury": "reap",
    "house": "context",
    "stake": "confirmation",
    "news": "updates",
    "kept": "the noun: copy, headers, entry",
    "known": "the noun: names, ids",
    "shown": "the noun: rows, messages, part",
    "thing": "the noun: note, session, subject",
    "brought": "injected",
    "twin": "tool",
    "onwards": "after",
    "furnished": "sample",
    "Shelf": "PlaybookIndex",
    "Looked": "ProbeResult",
    "Written": "WriteEvent",
    "Life": "SimulatedSession",
    "Talk": "FakeSession",
    "Ears": "NotificationRecorder",
    "PATIENCE": "TIMEOUT",
    "LARGEST": "MAX_BYTES",
    "LONGEST": "MAX_CHARS",
    "ORPHAN": "DETACHED_WRITE_TIMEOUT",
    "NOWHERE": "gone",
    "whoever": "caller",
    "somebody": "user, caller",
    "nobody": "user, caller",
}
"""English word -> what to call the thing in Python; in a sentence the word is fine."""

EXEMPT = {"CHANGELOG.md", "tests/conventions/test_words.py"}


def text_of(file: Path) -> str:
    """Empty for a binary file."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def files() -> list[Path]:
    return [file for file in tracked_files() if relative(file) not in EXEMPT]


def test_replaced_identifiers_are_not_used() -> None:
    words = "|".join(sorted(map(re.escape, REPLACED), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")
    offenders = [
        f"{relative(file)}:{number} {match[0]} -> {REPLACED[match[0]]}"
        for file in files()
        for number, line in enumerate(text_of(file).splitlines(), 1)
        for match in pattern.finditer(line)
    ]
    assert_no_offenders(offenders, "use the term after the arrow")


def test_words_of_everyday_life_are_not_names_in_python() -> None:
    offenders = [
        f"{relative(file)}:{token.start[0]} {token.string} -> {ENGLISH_WORDS[token.string]}"
        for file in files()
        if file.suffix == ".py"
        for token in tokenize.generate_tokens(io.StringIO(text_of(file)).readline)
        if token.type == tokenize.NAME and token.string in ENGLISH_WORDS
    ]
    assert_no_offenders(offenders, "name it by the noun, or by what the function does")
