"""A quoted reason of Devin repeats no text of the request, and no run of its words."""

from __future__ import annotations

import time

import pytest

from devin_mcp.api.quotation import MAX_QUOTE_CHARS, MAX_REASON_CHARS, quote
from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.upstream import Upstream, answer

SENT = "Please rotate the staging password. It is green apple seven, as Ana said in the meeting"
ECHOES = [
    "green apple seven",
    "It is green apple seven",
    "GREEN APPLE SEVEN",
    "green  apple\nseven",
    "green-apple-seven",
    "green_apple_seven",
    '"green", "apple", "seven"',
    "[green] (apple) {seven}",
    "green apple seven as Ana",
    "it is green apple",
    "rotate the staging",
    "password. It is",
    "in the meeting",
]
ORDINARY = ["is not a valid", "password", "as in", "the meeting", "staging", "Please contact us"]
HIDDEN = ("green", "apple", "seven", "rotate", "meeting")


@pytest.mark.parametrize("frame", ["Rejected: {} is no good", "{}", "x {} and again {}."])
async def test_run_of_words_that_was_sent_is_cut(
    connect: Connect, upstream: Upstream, api: DevinApi, frame: str
) -> None:
    reasons = [frame.replace("{}", echo) for echo in ECHOES]
    faults = [answer(422, {"detail": reason}) for reason in reasons]
    upstream.fail_operation("create_playbook", *faults)
    async with connect() as client:
        for reason in reasons:
            text = await client.error("create_playbook", title="t", body=SENT)
            assert "did not accept the request (422)" in text
            quoted = text.partition("Devin says: ")[2].partition("Nothing was changed")[0]
            assert "…" in quoted, reason
            assert [word for word in HIDDEN if word in quoted.casefold()] == [], reason
            assert ("is no good" in quoted) is ("good" in frame), reason


@pytest.mark.parametrize("words", ORDINARY)
def test_ordinary_words_of_devin_stay(words: str) -> None:
    assert quote(f"Field body {words}", {"body": SENT}) == f' Devin says: "Field body {words}".'


@pytest.mark.parametrize(
    ("sent", "reason", "quoted"),
    [
        ({"title": "Private Plan"}, "PRIVATE  PLAN exists", "… exists"),
        ({"title": "Private Plan"}, "private-plan exists", "… exists"),
        ({"title": "Roadmap"}, "roadmap exists", "… exists"),
        ({"tags": ["abc"]}, "abc exists", "abc exists"),
        ({"a": {"b": [{"c": "one more hidden thing"}]}}, "no hidden thing", "no hidden thing"),
        ({"a": {"b": [{"c": "one more hidden thing"}]}}, "no more hidden thing", "no …"),
        ({"a": "we do it as we go on"}, "do it as we go on", "…"),
        ({"a": "we do it as we go on"}, "do it as", "do it as"),
        (None, "all of it stays", "all of it stays"),
    ],
)
def test_what_is_an_echo(sent: object, reason: str, quoted: str) -> None:
    assert quote(reason, sent) == f' Devin says: "{quoted}".'


def test_echo_at_the_end_of_what_is_read_of_a_reason_is_cut() -> None:
    for filler in range(MAX_REASON_CHARS - 40, MAX_REASON_CHARS + 1):
        reason = f"Bad: {'x9' * (filler // 2)}{'y' * (filler % 2)} green apple seven"
        quoted = quote(reason, {"body": SENT})
        assert [word for word in HIDDEN if word in quoted] == []


def test_comparison_is_linear_in_reason_and_request() -> None:
    """Repetitive texts are the worst case of most comparisons."""
    started_at = time.perf_counter()
    for part in ("a ", "aaaa ", "green apple ", "…", "_"):
        quoted = quote(part * 200_000, {"body": part * 200_000, "tags": [part * 9] * 50})
        assert len(quoted) < MAX_QUOTE_CHARS + 50
    assert time.perf_counter() - started_at < 10
