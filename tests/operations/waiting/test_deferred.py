"""The text of a deferred wait says all of it, and nothing else is one."""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from devin_mcp.errors import NotFound
from devin_mcp.operations.waiting.cursor import NOTHING_SEEN, encode_wait_cursor
from devin_mcp.operations.waiting.deferred import MAX_ID_CHARS, DeferredWait, Kind

IDS = st.from_regex(r"devin-[0-9a-f]{32}", fullmatch=True)


@st.composite
def waits(draw: st.DrawFn) -> DeferredWait:
    kind: Kind = draw(st.sampled_from(get_args(Kind)))
    count = 16 if kind == "wait" else 1
    ids = tuple(draw(st.lists(IDS, min_size=1, max_size=count, unique=True)))
    cursor = encode_wait_cursor(dict.fromkeys(ids, NOTHING_SEEN)) if draw(st.booleans()) else ""
    done = "" if kind == "wait" else draw(st.sampled_from(["", '{"remark":"é ~ + é"}']))
    return DeferredWait(
        ids,
        draw(st.sampled_from(["any", "all"])),
        draw(st.sampled_from(["attention", "message"])),
        cursor,
        kind,
        done,
        draw(st.integers(0, 99_999_999_999)),
    )


@given(waits())
def test_wait_is_read_from_its_id(wait: DeferredWait) -> None:
    assert wait.fits
    assert len(wait.id) <= MAX_ID_CHARS
    assert DeferredWait.parse(wait.id) == wait


@given(waits(), st.integers(0, MAX_ID_CHARS), st.text(max_size=3))
def test_changed_id_is_another_wait_or_none(wait: DeferredWait, place: int, text: str) -> None:
    changed = wait.id[:place] + text + wait.id[place + 1 :]
    with suppress(NotFound):
        assert DeferredWait.parse(changed).id == changed


@given(st.text(max_size=40))
def test_any_other_text_is_none(text: str) -> None:
    with suppress(NotFound):
        assert DeferredWait.parse(text).id == text
