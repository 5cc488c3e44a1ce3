"""`devin-mcp doctor`: one line per check, advice for what fails, exit status 1 on failure."""

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

from devin_mcp.cli.tools import bytes_read
from tests.cli.command_line import CommandLine
from tests.cli.doctor_runner import Doctor, text_of_check, verdicts
from tests.clock import HANG_SECONDS
from tests.e2e.processes import start_process
from tests.upstream import KEY, Upstream, answer, page


async def test_doctor_as_a_process_reports_a_healthy_installation(
    cli: CommandLine, upstream: Upstream
) -> None:
    """It reads four lists and sends nothing else."""
    variables = {"DEVIN_BASE_URL": upstream.url, "DEVIN_MCP_MAX_ACU": "5"}
    async with start_process(
        "doctor", "--json", "--read-only", DEVIN_API_KEY=KEY, **variables
    ) as process:
        status = await process.wait_for_exit()
    assert (process.stderr, KEY in process.stdout.decode()) == (b"", False)
    report = json.loads(process.stdout)
    assert (status, report["ok"]) == (0, True)
    assert "FAIL" not in verdicts(report).values()
    assert text_of_check(report, "Key").startswith("a key of v1 is set")
    assert "--read-only (flag)" in text_of_check(report, "Settings")
    assert "DEVIN_MCP_MAX_ACU (environment)" in text_of_check(report, "Settings")
    assert "8 visible" in text_of_check(report, "Tools")
    assert text_of_check(report, "Tools").endswith("get_playbook")
    listing = json.loads(cli("tools", "--json", "--read-only").stdout)
    size = sum(map(bytes_read, listing["tools"]))
    assert f"reads {size:,} bytes of them, about {size // 4:,} tokens" in text_of_check(
        report, "Tools"
    )
    for name in ("sessions", "secrets", "knowledge", "playbooks"):
        assert name in text_of_check(report, "Accepted")
    assert "cannot be seen without spending" in text_of_check(report, "Quota")
    assert report["settings"]["max_acu"] == {"from": "environment", "value": 5}
    assert report["settings"]["api_key"] == {"from": "environment"}
    assert {(seen.method, seen.path) for seen in upstream.requests} == {
        ("GET", f"/v1/{name}") for name in ("sessions", "knowledge", "playbooks", "secrets")
    }


@pytest.mark.parametrize(
    ("fault", "check", "message"),
    [
        (answer(401), "Accepted", "does not accept the key"),
        (answer(403), "Accepted", "may not read sessions"),
        (answer(404), "Accepted", "is not the Devin API"),
        (answer(500), "Accepted", "answered with 500"),
        (page(502), "Accepted", "502"),
        *[
            (page(status), "Accepted", f"instead of Devin ({status})")
            for status in (401, 403, 404, 511)
        ],
        (answer(403, {"message": "Forbidden"}), "Accepted", "instead of Devin (403)"),
        (page(200), "Accepted", "is a web page"),
        (answer(302, location="https://login.example.com"), "Accepted", "leads elsewhere (302)"),
    ],
)
async def test_answer_of_devin_is_reported_with_advice(
    doctor: Doctor, upstream: Upstream, fault: Any, check: str, message: str
) -> None:
    upstream.fail("GET", "/v1/sessions", fault)
    status, report = await doctor(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(report)[check]) == (1, "FAIL")
    assert message in text_of_check(report, check)
    assert upstream.count("GET") == 1


async def test_page_is_not_told_as_an_answer_of_devin(doctor: Doctor, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/sessions", page(401))
    _, report = await doctor(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert text_of_check(report, "Devin").startswith("something in between answers in")


async def test_list_the_key_may_not_read_is_named(doctor: Doctor, upstream: Upstream) -> None:
    upstream.fail("GET", "/v1/secrets", answer(403))
    status, report = await doctor(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(report)["Accepted"]) == (0, "note")
    assert "but not secrets" in text_of_check(report, "Accepted")


async def test_clock_skew_is_reported(doctor: Doctor, upstream: Upstream) -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": []}, date=ahead))
    _, report = await doctor(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert verdicts(report)["Clock"] == "note"
    assert 270 < int(text_of_check(report, "Clock").split()[0]) <= 300


async def test_proxy_certificates_and_tls_are_reported(doctor: Doctor, tmp_path: Path) -> None:
    """First over TLS signed by a company's authority, then through a proxy that does not exist."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(bundle := tmp_path / "company.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.1)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: 2\r\nconnection: close\r\n\r\n[]"
            )
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(upstream, "127.0.0.1", 0, ssl=context) as server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        variables = {"DEVIN_API_KEY": KEY, "DEVIN_BASE_URL": url, "NO_PROXY": "", "no_proxy": ""}
        status, report = await doctor(**variables, SSL_CERT_FILE=str(bundle))
        assert status == 0
        assert text_of_check(report, "Address").strip() == url
        assert text_of_check(report, "Proxy").strip() == "none"
        assert str(bundle) in text_of_check(report, "Trust")
        assert "localhost is " in text_of_check(report, "DNS")
        assert re.match(r"answers in \d{3,} ms, TLSv1\.\d", text_of_check(report, "Devin"))
        status, report = await doctor(**variables, HTTPS_PROXY="http://me:pw@127.0.0.1:1")
        found = text_of_check(report, "Proxy").strip()
        assert (status, found) == (1, "http://127.0.0.1:1 (from HTTPS_PROXY)")
        assert "the proxy from HTTPS_PROXY refused" in text_of_check(report, "Devin")


@pytest.mark.parametrize(
    "date",
    ["Tue, 24 Nov 2026 10:00:00 -0000", "\x1b[31mTue", "Tue, 24 Nov 999999999 10:00:00 GMT", "?"],
)
async def test_unreadable_date_header_is_ignored(
    doctor: Doctor, upstream: Upstream, date: str
) -> None:
    upstream.fail("GET", "/v1/sessions", answer(200, {"sessions": []}, date=date))
    status, report = await doctor(DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(report)["Accepted"]) == (0, "ok")


async def test_endless_informational_answers_time_out(doctor: Doctor) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()
            disconnected.set()

    disconnected = asyncio.Event()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        status, report = await doctor("--timeout", "0.3", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=url)
        assert (status, verdicts(report)["Devin"]) == (1, "FAIL")
        assert "did not answer within 0.3 seconds" in text_of_check(report, "Devin")
        async with asyncio.timeout(HANG_SECONDS):
            await disconnected.wait()


@pytest.mark.parametrize(
    "proxy",
    [
        "http://bob:12#hunter2@127.0.0.1:9",
        "hunter2://x",
        "http://hunter2#x:y@127.0.0.1:9",
        "//hunter2:p@h",
    ],
)
async def test_proxy_password_is_hidden_when_the_url_is_malformed(
    doctor: Doctor, proxy: str
) -> None:
    _, report = await doctor(
        DEVIN_API_KEY=KEY,
        DEVIN_BASE_URL="http://127.0.0.1:1",
        HTTP_PROXY=proxy,
        NO_PROXY="",
        no_proxy="",
    )
    assert verdicts(report)["Proxy"] == "FAIL"
    assert text_of_check(report, "Proxy").startswith("The proxy from HTTP_PROXY cannot be used.")
    assert not {"hunter2", "bob:12"} & set(json.dumps(report).replace('"', " ").split())


async def test_unusable_variables_of_others_are_notes(doctor: Doctor, upstream: Upstream) -> None:
    status, report = await doctor(
        DEVIN_API_KEY=KEY,
        DEVIN_BASE_URL=upstream.url,
        HTTP_PROXY="http://127.0.0.1:1",
        no_proxy="[::1],127.0.0.1,host:abc",
        SSL_CERT_FILE="/no/such.pem",
    )
    assert status == 0
    assert (verdicts(report)["Proxy"], verdicts(report)["Trust"]) == ("note", "note")
    assert "ignored: host:abc" in text_of_check(report, "Proxy")
    assert "SSL_CERT_FILE names a file that does not exist" in text_of_check(report, "Trust")


def test_control_characters_are_escaped(cli: CommandLine, tmp_path: Path) -> None:
    directory = tmp_path / "e\x1b]0;pwned\x07"
    directory.mkdir()
    result = cli("doctor", "--sandbox", "--files-root", str(directory))
    assert result.status == 0
    assert "\x1b" not in result.stdout
    assert "pwned" in result.stdout


@pytest.mark.parametrize(
    ("variables", "check", "message"),
    [
        ({}, "Key", "there is none"),
        ({"DEVIN_API_KEY": "${DEVIN_API_KEY}"}, "Key", "only a placeholder"),
        ({"DEVIN_API_KEY": "devin-session-token$abc"}, "Key", "login token of the Devin CLI"),
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
async def test_local_problem_is_reported(
    doctor: Doctor, variables: dict[str, str], check: str, message: str
) -> None:
    status, report = await doctor(**variables)
    assert (status, verdicts(report)[check]) == (1, "FAIL")
    assert message in text_of_check(report, check)
    assert "pw" not in text_of_check(report, check)


def test_text_report_is_ascii_and_fits_the_terminal(cli: CommandLine) -> None:
    result = cli("doctor", "--sandbox")
    assert (result.status, result.stdout.isascii()) == (0, True)
    lines = result.stdout.splitlines()
    assert all(len(line) <= 110 for line in lines)
    assert lines[-1].startswith("Everything that can be checked for free is fine.")
    assert [
        line.split()[1]
        for line in lines
        if line[:5].strip() in {"ok", "note", "FAIL"} and line[0] != " "
    ][-1] == "Quota"
