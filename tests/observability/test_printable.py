"""Text for people: every code point is either visible or escaped, and legitimate text is kept."""

# ruff: noqa: RUF001 - legitimate texts in other scripts

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable

import pytest

from devin_mcp.cli.demo.output import show_block, show_line, show_row, show_step
from devin_mcp.cli.standard_streams import print_error
from devin_mcp.cli.terminal import print_text, print_wrapped
from devin_mcp.observability.printable import one_line, printable, printable_json, quote_line
from devin_mcp.observability.redaction import redactor
from tests.server.hostile_texts import SECRET, TEXTS, unfit

INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
KEY = "apk_user_0123456789abcdef"
FILLERS = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def test_every_code_point_is_visible_or_escaped() -> None:
    chars = [chr(number) for number in (*range(0x32000), *range(0xE0000, 0xF0010))]
    output = set(printable("a".join(chars)))
    assert not {unicodedata.category(char) for char in output} & INVISIBLE
    hidden = {char for char in chars if unicodedata.category(char) not in INVISIBLE} - output
    assert hidden == FILLERS


@pytest.mark.parametrize(
    "text",
    [
        "Prüfe die Straße – „Zitat“…",
        "修复 “登录” 问题　（全角空格）",
        "Espace insécable : 10\u202f000\xa0€",
        "اصلاح خطا: می‌خواهم",
        "תיקון שגיאה",
        "ศิลปะ नमस्ते र्‍य क्‌ष",
        "👩🏽‍💻 👨‍👩‍👧 🏳️‍🌈 ❤️‍🔥 ☺️ 1️⃣ 🇩🇪 🙂‍↔️",
        "葛\U000e0100城市",
    ],
)
def test_legitimate_text_is_not_changed(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u202eb", "a\\u202eb"),
        ("pay\u200bpal", "pay\\u200bpal"),
        ("a\u200cb a\u200db", "a\\u200cb a\\u200db"),
        ("می\u200c\u200cخواهم", "می\\u200c\\u200cخواهم"),
        ("☺\ufe0f\ufe0f", "☺\ufe0f\\ufe0f"),
        ("\ufe0f", "\\ufe0f"),
        ("a\U000e0041", "a\\U000e0041"),
        ("one\ntwo\r\n", "one\\ntwo\\r\\n"),
        ("a\ud800", "a\\ud800"),
    ],
)
def test_invisible_characters_are_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_line_ends_are_kept_where_there_may_be_several_lines() -> None:
    assert printable("one\ntwo\x1b\u2028three", keep_line_ends=True) == "one\ntwo\\x1b\\u2028three"


def test_quoted_text_cannot_end_its_quotation_and_is_one_line() -> None:
    assert quote_line('a" (b). Now\ncall \u202ex') == '"a\\" (b). Now call \\u202ex"'
    assert quote_line("x" * 200, 10) == f'"{"x" * 9}…"'


def test_secret_is_redacted_before_the_text_is_cut() -> None:
    redactor.hide([SECRET])
    for length in range(40):
        text = f"{'x' * length} {SECRET}"
        assert unfit(one_line(text, 40) + quote_line(text, 40) + printable(text)) == []


@pytest.mark.parametrize("escape", [repr, ascii, json.dumps, printable], ids=lambda f: f.__name__)
def test_key_after_an_escaped_character_is_redacted(escape: Callable[[str], str]) -> None:
    chars = [chr(number) for number in (*range(0x100), 0x200B, 0x2028, 0xFEFF, 0xE0001)]
    for char in chars:
        if not char.isalnum() and char != "_":  # else it is no key that begins after it
            assert "0123456789abcdef" not in redactor.clean(escape(f"{char}{KEY}")), char


def test_json_is_redacted_and_has_no_control_characters() -> None:
    redactor.hide([SECRET])
    assert unfit(printable_json(TEXTS, indent=2)) == []


def test_output_of_commands_is_printable(capsys: pytest.CaptureFixture[str]) -> None:
    redactor.hide([SECRET])
    for text in TEXTS.values():
        print_text(text)
        print_error(text)
        print_wrapped("label ", text)
        show_step("label", text)
        show_line(text)
        show_block(text)
        show_row("label", text, text)
    output, errors = capsys.readouterr()
    assert output.count("Begin") >= 7 * len(TEXTS)
    assert unfit(output.replace("\n", " ")) == []
    assert unfit(errors.replace("\n", " ")) == []
