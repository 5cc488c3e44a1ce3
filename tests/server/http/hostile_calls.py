"""Calls, and answers of Devin, that would take the event loop a long time to work through."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.upstream import Exchange, Fault, answer

LONG_TEXT, LONG_TEXT_TIMES = b"word and ", 1_500_000
"""Together 13 MB; never made when the module is imported."""


@dataclass
class Case:
    """A call, and what Devin answers to it."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    """By operation id."""
    method: str = "tools/call"
    shows: str = ""
    """A part of the answer: the call was worked through, and not refused."""


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def rows(row: bytes, count: int, v1_name: bytes = b"sessions") -> Fault:
    """A list with this row so many times; v1's is an array if it has no name."""

    async def respond(exchange: Exchange) -> None:
        is_v1 = exchange.request.path.startswith("/v1/")
        text = b"[%s]" % repeated(row, count)
        if not is_v1 or v1_name:
            name = v1_name if is_v1 else b"items"
            text = b'{"%s": %s, "has_next_page": false}' % (name, text)
        await answer(200, text)(exchange)

    return respond


def repeated(row: bytes, count: int) -> bytes:
    """`NUMBER` becomes the index of the row, `TEXT` a long text."""
    numbered, row = b"NUMBER" in row, with_long_text(row)
    parts = (row.replace(b"NUMBER", b"%d" % index) if numbered else row for index in range(count))
    return b",".join(parts)


def with_long_text(template: bytes) -> bytes:
    if b"TEXT" not in template:
        return template
    return template.replace(b"TEXT", LONG_TEXT * LONG_TEXT_TIMES)


def schema(value: Any) -> Case:
    return Case("create_session", {"prompt": "p", "structured_output_schema": value})


def sessions(fault: Fault) -> Case:
    return Case("list_sessions", {"limit": 1000}, {"list_sessions": fault})


def session(
    fields: bytes, tool: str = "get_session", shows: str = "devin-1", messages: int = 0
) -> Case:
    """A session with these fields; `TEXT` in them becomes a long text."""

    async def respond(exchange: Exchange) -> None:
        body = b'{"session_id": "devin-1", "status": "running", "messages": [%s], %s}' % (
            repeated(MESSAGE, messages),
            with_long_text(fields),
        )
        await answer(200, body)(exchange)

    arguments: dict[str, Any] = {"session_id": "devin-1"}
    if tool == "wait_for_sessions":
        arguments = {"session_ids": ["devin-1"], "max_wait_s": 1}
    faults = {"get_session": respond, "list_messages": rows(MESSAGE, messages)}
    return Case(tool, arguments, faults, shows=shows)


def playbooks(
    shows: str,
    tool: str = "list_playbooks",
    method: str = "tools/call",
    row: bytes = b"",
    **arguments: Any,
) -> Case:
    """A list of playbooks with this row, or many short ones."""
    fault = rows(row, 1, b"") if row else rows(PLAYBOOK, 9_900, b"")
    return Case(tool, arguments, {"list_playbooks": fault}, method, shows)


def download(charset: str, data: bytes) -> Case:
    fault = answer(200, data, content_type=f"text/plain; charset={charset}")
    url = "https://app.devin.ai/attachments/1234/a.txt"
    return Case("download_attachment", {"url": url}, {"download_attachment": fault})


MIXED = [item for number in range(6000) for item in (number, str(number))]
NOTE = b'{"id": "note-NUMBER", "note_id": "note-NUMBER", "name": "n", "body": "%s"}' % (
    b"x" * 20_000
)
ROW = b'{"session_id": "devin-1", "status": "working", "title": "t", "tags": ["a"]}'
PLAYBOOK = (
    b'{"playbook_id": "playbook-NUMBER", "title": "Playbook NUMBER", "macro": "!mNUMBER",'
    b' "body": "Do this, then that."}'
)
LONG_PLAYBOOK = PLAYBOOK.replace(b"NUMBER", b"1").replace(b"that", b"TEXT")
MESSAGE = (
    b'{"type": "devin_message", "source": "devin", "event_id": "event-NUMBER", "message": "m",'
    b' "created_at": 1767225600}'
)
PUNYCODE = b"x-" + b"a" * 262_000
"""Each letter inserts a character, and copies all that came before."""
CASES: dict[str, Case] = {
    "schema 250 deep": schema(nested(250)),
    "schema 5,000 deep": schema(json.dumps({"a": 0}).replace("0", "[" * 5000 + "]" * 5000)),
    "brackets in a pattern": schema({"pattern": "(" * 3000 + ")" * 3000}),
    "52 KB of types": schema({"type": MIXED[:8600]}),
    "enum of mixed values": schema({"enum": MIXED[:1900]}),
    "required names": schema({"required": [str(number) for number in range(1900)]}),
    "many patterns": schema({"allOf": [{"pattern": "(a|b)*" * 150}] * 60}),
    "many schemas": schema({"allOf": [{"type": "object"}] * 1900}),
    "many wrong schemas": schema({"properties": {f"p{n}": 5 for n in range(4000)}}),
    "many references": schema({"allOf": [{"$ref": "#/a/b/c"}] * 1900, "a": {"b": {"c": {}}}}),
    "text of 4 MB": Case("upload_attachment", {"name": "a", "content": "x" * 3_900_000}),
    "emoji of 2 MB": Case("upload_attachment", {"name": "a", "content": "😀" * 500_000}),
    "base64 of 4 MB": Case(
        "upload_attachment", {"name": "a", "content": "AAAA" * 950_000, "encoding": "base64"}
    ),
    "no base64": Case(
        "upload_attachment", {"name": "a", "content": "AAAA " * 700_000 + "ß", "encoding": "base64"}
    ),
    "long unknown argument": Case("list_sessions", {"x" * 1_000_000: 1}),
    "many unknown arguments": Case("list_sessions", {f"limi{n}": 1 for n in range(20_000)}),
    "list in a text": Case("wait_for_sessions", {"session_ids": f"[{'[],' * 1_300_000}[]]"}),
    "schema in a text": schema(f'{{"enum": [{"1," * 1_900_000}1]}}'),
    "many ids": Case("wait_for_sessions", {"session_ids": ["devin-1"] * 40_000}),
    "wrong ids": Case("wait_for_sessions", {"session_ids": [[]] * 20_000}),
    "long id": Case("get_session", {"session_id": "a." * 1_000_000}),
    "long repository": Case("delegate_task", {"prompt": "p", "repository": "a/" * 1_000_000}),
    "long search": Case("list_knowledge", {"search": "a b " * 500_000}),
    "long prompt": Case("create_session", {"prompt": "p " * 1_000_000}),
    "long name of a playbook": Case("delegate_task", {"prompt": "p", "playbook": "fix " * 120}),
    "long uri": Case("", {"uri": "devin://sessions/" + "a" * 1_000_000}, method="resources/read"),
    "long text to complete": Case(
        "",
        {
            "ref": {"type": "ref/resource", "uri": "devin://playbooks/{playbook_id}"},
            "argument": {"name": "playbook_id", "value": "fix " * 250_000},
        },
        method="completion/complete",
    ),
    "million rows": sessions(rows(b"{}", 1_000_000)),
    "million numbers": sessions(rows(b"1", 1_000_000)),
    "numbers for rows": sessions(rows(b"1", 140_000)),
    "empty rows": sessions(rows(b"{}", 5_900)),
    "rows": sessions(rows(ROW, 5_900)),
    "rows with odd fields": sessions(rows(ROW.replace(b'"t"', b"{}").replace(b'"a"', b"5"), 2_900)),
    "row with a long title": sessions(rows(ROW.replace(b'"t"', b'"%s"' % (b"t " * 2_000_000)), 1)),
    "long integers": sessions(
        answer(200, b'{"items": [], "x": [' + b",".join([b"9" * 4000] * 5000) + b"]}")
    ),
    "deep answer": sessions(answer(200, b'{"items": ' + b"[" * 100_000)),
    "50 MB of notes": Case(
        "list_knowledge", {}, {"list_knowledge": rows(NOTE, 2_500, b"knowledge")}, shows="note-7"
    ),
    "many messages": session(b'"title": "t"', messages=9_900, shows="event-9899"),
    "wait with many messages": session(
        b'"title": "t"', "wait_for_sessions", messages=9_900, shows="event-0"
    ),
    "long output": session(b'"structured_output": {"a": "TEXT"}', shows="word and"),
    "wait with a long output": session(b'"structured_output": {"a": "TEXT"}', "wait_for_sessions"),
    "long title": session(b'"title": "TEXT"', shows="word and"),
    "long pull request": session(b'"pull_request": {"url": "TEXT"}'),
    "long pull requests": session(b'"pull_requests": [{"pr_url": "TEXT"}]', "wait_for_sessions"),
    "long time": session(b'"created_at": "TEXT", "org_id": "org-1"'),
    "long tag": session(b'"tags": ["TEXT"], "org_id": "org-1"'),
    "playbooks": playbooks("playbook-0"),
    "playbooks with bodies": playbooks("then that", body=True),
    "playbooks as prompts": playbooks('"m0"', "", "prompts/list"),
    "playbooks as resources": playbooks("devin://playbooks/playbook-0", "", "resources/list"),
    "playbooks as a table": playbooks("playbook-0", "", "resources/read", uri="devin://playbooks"),
    "unknown playbook": playbooks("None of the 9900", "delegate_task", prompt="p", playbook="Play"),
    "completion": playbooks(
        "playbook-0",
        "",
        "completion/complete",
        ref={"type": "ref/resource", "uri": "devin://playbooks/{playbook_id}"},
        argument={"name": "playbook_id", "value": "play"},
    ),
    "prompt of a playbook": playbooks(
        "playbook-7", "", "prompts/get", name="m7", arguments={"task": "t"}
    ),
    "long playbook": playbooks("playbook-1", row=LONG_PLAYBOOK, body=True),
    "long playbook as resource": playbooks("playbook-1", "", "resources/list", row=LONG_PLAYBOOK),
    "long playbook as prompt": playbooks('"m1"', "", "prompts/list", row=LONG_PLAYBOOK),
    "long reason": Case(
        "create_session",
        {"prompt": "a b c d e f g " * 2000},
        {"create_session": answer(422, {"detail": "a b c d e f g h " * 200_000})},
    ),
    "many reasons": Case(
        "create_session",
        {"prompt": "p"},
        {"create_session": answer(422, {"detail": [{"loc": ["body"], "msg": "no"}] * 9_000})},
    ),
    "long page": sessions(answer(403, b"<html>" + b"out of quota " * 1_000_000)),
    "punycode": download("punycode", PUNYCODE),
    "idna": download("idna", b"xn--a." * 87_000),
    "unicode_escape": download("unicode_escape", b"\\u0041" * 87_000),
    "utf-7": download("utf-7", b"+AEE-" * 100_000),
    "utf-16": download("utf-16", b"a\x00" * 262_000),
    "shift_jis": download("shift_jis", b"\x82\xa0" * 262_000),
    "secrets in a file": download("utf-8", b"apk_user_0123456789abcdef " * 20_000),
    "almost secrets in a file": download("utf-8", b"apk_" * 131_000),
}
