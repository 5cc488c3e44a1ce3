"""Devin API keys: what counts as one, the API it belongs to, and what may be shown of it."""

from __future__ import annotations

import pytest

from devin_mcp.keys import (
    KEY_PATTERN,
    KEY_PROBLEMS,
    SANDBOX_KEYS,
    DevinKey,
    KeyState,
    api_of,
    fingerprint,
    is_placeholder,
    key_state,
)
from tests.upstream import KEY

PLACEHOLDERS = [
    "${DEVIN_API_KEY}",
    "${input:devin_key}",
    "{{DEVIN_API_KEY}}",
    "$DEVIN_API_KEY",
    "%DEVIN_API_KEY%",
    "<your key>",
    "your-api-key",
    "YOUR_DEVIN_API_KEY",
    "apk_",
    "apk_...",
    "apk_…",
    "apk_xxxx",
    "apk_XXXX",
    "apk_****",
    "apk_user_",
    "apk_user_...",
    "apk_user_xxxx",
]


@pytest.mark.parametrize("text", [f" {KEY}", f"{KEY} ", f"{KEY}\n", f"{KEY}\r\n", f"\t{KEY}\n\n"])
def test_key_is_trimmed_of_blanks_and_line_ends(text: str) -> None:
    assert DevinKey(text) == DevinKey(KEY)
    assert DevinKey(text).text == KEY


@pytest.mark.parametrize("text", ["", " ", "\n", "\t\r\n"])
def test_blank_text_is_a_missing_key(text: str) -> None:
    key = DevinKey(text)
    assert (key.text, key.state) == ("", "missing")


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholder_is_not_a_usable_key(text: str) -> None:
    assert is_placeholder(text)
    assert is_placeholder(f" {text}\n")
    assert key_state(text) == "placeholder"
    assert DevinKey(f"{text}\n").state == "placeholder"


@pytest.mark.parametrize(
    "text", [KEY, *SANDBOX_KEYS.values(), "apk_user_x1", "apk_x.y", "cog_x1", "apk", ""]
)
def test_text_without_the_marks_of_a_placeholder_is_none(text: str) -> None:
    assert not is_placeholder(text)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("", "missing"),
        ("${DEVIN_API_KEY}", "placeholder"),
        ("cog_${ORGANIZATION_KEY}", "placeholder"),
        ("cog_0123456789", "usable"),
        ("devin-session-token$0123456789", "login_token"),
        ("apk_0123456789", "usable"),
        ("apk_user_0123456789", "usable"),
        ("ghp_0123456789", "usable"),
        ("APK_0123456789", "usable"),
        ("0123456789", "usable"),
        ("two words", "usable"),
    ],
)
def test_state_of_a_key_before_it_is_sent(text: str, state: KeyState) -> None:
    """Texts of unknown shape are usable: Devin decides."""
    assert key_state(text) == state
    assert DevinKey(text).state == state
    assert (state in KEY_PROBLEMS) == (state != "usable")


@pytest.mark.parametrize(
    ("text", "api"),
    [
        ("apk_0123456789", "v1"),
        ("apk_user_0123456789", "v1"),
        ("cog_0123456789", "v3"),
        ("apk", None),
        ("APK_0123456789", None),
        ("my_apk_0123456789", None),
        ("ghp_0123456789", None),
        ("", None),
    ],
)
def test_prefix_decides_the_api_of_a_key(text: str, api: str | None) -> None:
    assert api_of(text) == api


@pytest.mark.parametrize("ending", ["\n", "\r\n", " "])
def test_fingerprint_is_equal_with_and_without_a_line_end(ending: str) -> None:
    assert DevinKey(KEY + ending).fingerprint == DevinKey(KEY).fingerprint == fingerprint(KEY)


def test_fingerprint_differs_between_keys_and_does_not_contain_one() -> None:
    prints = {fingerprint(text) for text in (KEY, KEY + "0", KEY.upper(), "")}
    assert len(prints) == 4
    for text in prints:
        assert len(text) == 64
        assert not KEY_PATTERN.search(text)
        assert KEY.rpartition("_")[2] not in text


def test_repr_does_not_show_the_key() -> None:
    key = DevinKey(KEY)
    assert "fingerprint" in repr(key)
    for text in (repr(key), str(key), f"{[key]}"):
        assert KEY not in text
        assert KEY.rpartition("_")[2] not in text
