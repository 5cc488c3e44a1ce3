"""The doctor: one line for each thing that can be told for free, what to do where something is wrong, and never the key."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.e2e.processes import running
from tests.upstream import KEY, Upstream, answer, page


async def examined(*arguments: str, **given: str) -> tuple[int, dict[str, Any]]:
    async with running("doctor", "--json", *arguments, **given) as doctor:
        status = await doctor.end()
    assert KEY not in (doctor.stdout + doctor.stderr).decode()
    assert doctor.stderr == b""
    return status, json.loads(doctor.stdout)


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["verdict"] for one in found["checks"]}


def said(found: dict[str, Any], check: str) -> str:
    return next(
        f"{one['found']} {one['advice']}" for one in found["checks"] if one["check"] == check
    )


async def test_a_healthy_installation_is_told_so_and_nothing_is_spent(upstream: Upstream) -> None:
    status, found = await examined(
        "--read-only", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url, DEVIN_MCP_MAX_ACU="5"
    )
    assert (status, found["ok"]) == (0, True)
    assert "FAIL" not in verdicts(found).values()
    assert said(found, "Key").startswith("a personal v1 key is set")
    assert "--read-only (flag)" in said(found, "Settings")
    assert "DEVIN_MCP_MAX_ACU (environment)" in said(found, "Settings")
    assert "8 visible" in said(found, "Tools")
    assert said(found, "Tools").endswith("get_playbook")
    async with running("tools", "--json", "--read-only") as listing:
        await listing.end()
    size = len(json.dumps(json.loads(listing.stdout)["tools"], separators=(",", ":")))
    assert f"costs {size:,} bytes, about {size // 4:,} tokens" in said(found, "Tools")
    assert "reads sessions, secrets, knowledge, playbooks" in said(found, "Accepted")
    assert "cannot be seen without spending" in said(found, "Quota")
    assert found["settings"]["max_acu"] == {"from": "environment", "value": 5}
    assert found["settings"]["api_key"] == {"from": "environment"}
    assert {(seen.method, seen.path) for seen in upstream.requests} == {
        ("GET", f"/v1/{name}") for name in ("sessions", "knowledge", "playbooks", "secrets")
    }


@pytest.mark.parametrize(
    ("fault", "check", "says"),
    [
        (answer(401), "Accepted", "does not accept the key"),
        (answer(403), "Accepted", "may not read sessions"),
        (answer(404), "Accepted", "is not the Devin API"),
        (answer(500), "Accepted", "answered with 500"),
        (page(502), "Accepted", "502"),
        (page(200), "Accepted", "is a web page"),
        (answer(302, location="https://login.example.com"), "Accepted", "leads elsewhere (302)"),
    ],
)
async def test_what_devin_says_is_told_with_what_to_do(
    upstream: Upstream, fault: Any, check: str, says: str
) -> None:
    upstream.fail("GET", "/v1/sessions", fault)
    status, found = await examined(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(found)[check]) == (1, "FAIL")
    assert says in said(found, check)
    assert upstream.count("GET") == 1


async def test_what_the_key_may_not_read_is_named(upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/secrets", answer(403))
    status, found = await examined(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(found)["Accepted"]) == (0, "note")
    assert "but not secrets" in said(found, "Accepted")


async def test_a_clock_that_is_wrong_is_noticed(upstream: Upstream) -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": []}, date=ahead))
    _, found = await examined(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert verdicts(found)["Clock"] == "note"
    assert 270 < int(said(found, "Clock").split()[0]) <= 300


async def test_the_way_is_told_with_its_proxy_its_trust_and_its_tls(tmp_path: Path) -> None:
    """Over TLS, signed by a company's own authority, through nothing; and then through a proxy that is not there."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(bundle := tmp_path / "company.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.2)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]"
            )
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(upstream, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        given = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": url, "NO_PROXY": "", "no_proxy": ""}
        status, found = await examined(**given, SSL_CERT_FILE=str(bundle))
        assert status == 0
        assert said(found, "Address").strip() == url
        assert said(found, "Proxy").strip() == "none"
        assert str(bundle) in said(found, "Trust")
        assert "localhost is " in said(found, "DNS")
        assert re.match(r"answers in \d{3,} ms, TLSv1\.\d", said(found, "Devin"))
        status, found = await examined(**given, HTTPS_PROXY="http://me:pw@127.0.0.1:1")
        assert (status, said(found, "Proxy").strip()) == (1, "http://127.0.0.1:1")


@pytest.mark.parametrize(
    "date",
    ["Tue, 24 Nov 2026 10:00:00 -0000", "\x1b[31mTue", "Tue, 24 Nov 999999999 10:00:00 GMT", "?"],
)
async def test_a_date_that_is_none_is_no_trouble(upstream: Upstream, date: str) -> None:
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": []}, date=date))
    status, found = await examined(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(found)["Accepted"]) == (0, "ok")


async def test_one_who_answers_bit_by_bit_is_not_waited_for() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        status, found = await examined("--timeout", "1", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=url)
        assert (status, verdicts(found)["Devin"]) == (1, "FAIL")
        assert "did not answer within 1 seconds" in said(found, "Devin")


@pytest.mark.parametrize(
    "proxy",
    [
        "http://bob:12#hunter2@127.0.0.1:9",
        "hunter2://x",
        "http://hunter2#x:y@127.0.0.1:9",
        "//hunter2:p@h",
    ],
)
async def test_a_proxys_password_is_not_shown_even_where_it_is_misread(proxy: str) -> None:
    _, found = await examined(
        DEVIN_API_KEY=KEY,
        DEVIN_BASE_URL="http://127.0.0.1:1",
        HTTP_PROXY=proxy,
        NO_PROXY="",
        no_proxy="",
    )
    assert said(found, "Proxy").startswith("one that is no address")
    assert not {"hunter2", "bob:12"} & set(json.dumps(found).replace('"', " ").split())


async def test_nothing_steers_the_terminal(tmp_path: Path) -> None:
    (where := tmp_path / "e\x1b]0;pwned\x07").mkdir()
    async with running("doctor", "--sandbox", "--files-root", str(where)) as doctor:
        assert await doctor.end() == 0
    assert b"\x1b" not in doctor.stdout
    assert b"pwned" in doctor.stdout


@pytest.mark.parametrize(
    ("given", "check", "says"),
    [
        ({}, "Key", "there is none"),
        ({"DEVIN_API_KEY": "${DEVIN_API_KEY}"}, "Key", "only a placeholder"),
        ({"DEVIN_API_KEY": "cog_abcdefgh"}, "Key", "does not serve yet"),
        (
            {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": "http://127.0.0.1:1"},
            "Devin",
            "could not be reached",
        ),
        (
            {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": "https://nowhere.invalid"},
            "DNS",
            "cannot be found",
        ),
        (
            {
                "DEVIN_API_KEY": KEY,
                "DEVIN_BASE_URL": "http://127.0.0.1:1",
                "HTTP_PROXY": "http://me:pw@127.0.0.1:9",
                "NO_PROXY": "",
            },
            "Devin",
            "proxy",
        ),
    ],
)
async def test_what_is_missing_on_this_side_is_told(
    given: dict[str, str], check: str, says: str
) -> None:
    status, found = await examined(**given)
    assert (status, verdicts(found)[check]) == (1, "FAIL")
    assert says in said(found, check)
    assert "pw" not in said(found, check)


async def test_for_people_it_is_a_page_of_ascii() -> None:
    async with running("doctor", "--sandbox") as doctor:
        assert await doctor.end() == 0
    lines = doctor.stdout.decode("ascii").splitlines()
    assert all(len(line) <= 110 for line in lines)
    assert lines[-1].startswith("Everything that can be checked for free is fine.")
    assert [
        line.split()[1]
        for line in lines
        if line[:5].strip() in {"ok", "note", "FAIL"} and line[0] != " "
    ][-1] == "Quota"
