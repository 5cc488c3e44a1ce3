"""Cron in words and as next runs, for any text that a person or Devin may write."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devin_mcp.operations.schedules.run_times import MAX_CRON_CHARS, in_words, next_runs

NUMBERS = st.integers(0, 60).map(str)
ITEMS = st.one_of(
    NUMBERS,
    st.sampled_from(["*", "L", "LW", "?", "MON", "JAN", "*/0", "5L", "MON#2", "", "-", "1-"]),
    st.builds("{}-{}".format, NUMBERS, NUMBERS),
    st.builds("*/{}".format, NUMBERS),
    st.builds("{}-{}/{}".format, NUMBERS, NUMBERS, NUMBERS),
)
FIELDS = st.lists(ITEMS, min_size=1, max_size=3).map(",".join)
EXPRESSIONS = st.lists(FIELDS, min_size=5, max_size=5).map(" ".join)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(EXPRESSIONS | st.text(max_size=MAX_CRON_CHARS + 20))
def test_any_text_has_words_and_runs_or_none(expression: str) -> None:
    words, runs = in_words(expression), next_runs(expression)
    if words is None:
        assert runs == []
        return
    assert words.endswith(" (UTC)")
    moments = [datetime.fromisoformat(run) for run in runs]
    assert all(earlier < later for earlier, later in pairwise(moments))
    assert all(moment > datetime.now(UTC) for moment in moments)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 2 * * *", "at 02:00 every day (UTC)"),
        ("30 6 * * MON-FRI", "at 06:30 on Monday through Friday (UTC)"),
        ("0 9 1 * *", "at 09:00 on the first day of every month (UTC)"),
        ("0 0 29 2 *", "at 00:00 on February 29 (UTC)"),
    ],
)
def test_cron_in_words(expression: str, words: str) -> None:
    assert in_words(expression) == words
    assert len(next_runs(expression)) >= 2


@pytest.mark.parametrize(
    "expression", ["0 0 31 2 *", "0 0 30 2 MON", "0 0 29 2 MON#5", "0 0 L 2 1L"]
)
def test_rare_runs_are_found_quickly(expression: str) -> None:
    """A page has a hundred schedules."""
    start = time.process_time()
    for _ in range(100):
        next_runs(expression)
    assert time.process_time() - start < 2
