"""Suggestions for misspelt names: one that is close, or none."""

from __future__ import annotations

import pytest

from devin_mcp.suggest import closest, did_you_mean

CHOICES = ("session_id", "playbook_id", "max_wait_s", "max_acu_limit", "until")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("sesion_id", "session_id"),
        ("session_ids", "session_id"),
        ("playbok_id", "playbook_id"),
        ("session_id", "session_id"),
        ("unt", "until"),
        ("max_w", "max_wait_s"),
    ],
)
def test_misspelt_or_abbreviated_name_has_a_match(text: str, match: str) -> None:
    assert closest(text, CHOICES) == match


@pytest.mark.parametrize(
    "text",
    [
        "",
        "un",  # too short to be an abbreviation
        "max",  # two choices begin with it
        "temperature",
        "id",
    ],
)
def test_name_without_exactly_one_close_choice_has_no_match(text: str) -> None:
    assert closest(text, CHOICES) is None
    assert did_you_mean(text, CHOICES) == ""


def test_nothing_is_close_where_there_are_no_choices() -> None:
    assert closest("session_id", ()) is None


@pytest.mark.parametrize("text", ["sesion_id", " sesion_id\n", "Sesion_ID"])
def test_suggestion_ignores_case_and_blanks(text: str) -> None:
    assert did_you_mean(text, CHOICES) == "; did you mean session_id?"
