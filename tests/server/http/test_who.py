"""Every line of the log says who calls: by name, by a fingerprint of the key, and from where."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jq
import pytest

from devin_mcp.keys import DevinKey
from tests.conftest import Logs, settings_for
from tests.docs.pages import LOGGING, code_blocks
from tests.http_client import connect_over_http, start_http_server
from tests.server.http.conftest import ANA_TOKEN
from tests.server.http.raw_requests import bearer, post_ping
from tests.upstream import KEY, V3_KEY, Upstream

CALL_EVENTS = {"mcp_call", "api_request"}


def label(key: str) -> str:
    """As `printf %s "$KEY" | sha256sum | cut -c1-12` of the page says it."""
    return f"key:{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def who(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["event"], line.get("caller"), line.get("peer")


@pytest.mark.parametrize("key", [KEY, V3_KEY])
async def test_callers_with_own_keys_are_told_apart_and_no_key_is_logged(
    upstream: Upstream, logs: Logs, key: str
) -> None:
    async with start_http_server(settings_for(upstream, auth="caller-key")) as url:
        for text in (key, f"{key}-of-another"):
            async with connect_over_http(url, {"X-Devin-Api-Key": text}) as client:
                await client.ok("list_secrets")
    lines = [line for line in logs() if line["event"] in CALL_EVENTS]
    assert {who(line) for line in lines} == {
        (event, label(text), "127.0.0.1")
        for event in CALL_EVENTS
        for text in (key, f"{key}-of-another")
    }
    assert key not in str(logs())


async def test_owner_of_the_key_is_named_once_devin_has_said_it(
    upstream: Upstream, logs: Logs
) -> None:
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        connect_over_http(url, {"X-Devin-Api-Key": V3_KEY}) as client,
    ):
        await client.ok("list_secrets")
        await client.ok("list_secrets")
    first, second = (line for line in logs() if line["event"] == "mcp_call")
    assert "principal" not in first
    assert second["principal"] == "sandbox"
    assert len(upstream.sent("get_self")) == 1, "no request is sent for the log"


async def test_address_is_the_one_that_a_trusted_proxy_names(
    upstream: Upstream, logs: Logs
) -> None:
    headers = {"X-Devin-Api-Key": KEY, "X-Forwarded-For": "203.0.113.7"}
    async with (
        start_http_server(settings_for(upstream, auth="caller-key")) as url,
        connect_over_http(url, headers) as client,
    ):
        await client.ok("list_secrets")
    assert {line["peer"] for line in logs() if line["event"] in CALL_EVENTS} == {"203.0.113.7"}


async def test_rejected_request_names_the_caller_who_is_known(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with start_http_server(settings) as url:
        await post_ping(url)
        await post_ping(url, **bearer(ANA_TOKEN), content_type="text/plain")
    anonymous, named = (line for line in logs() if line["event"] == "http_rejected")
    assert who(anonymous) == ("http_rejected", None, "127.0.0.1")
    assert who(named) == ("http_rejected", "ana", "127.0.0.1")


async def test_recipes_of_the_page_answer_what_somebody_did(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with (
        start_http_server(settings) as url,
        connect_over_http(url, bearer(ANA_TOKEN)) as ana,
    ):
        session_id = await ana.create_session()
        await ana.error("get_session", session_id="devin-no")
    text = "\n".join(map(json.dumps, logs()))
    day = logs()[0]["timestamp"][:10]
    programs = [
        block.split("'")[1].replace("2026-11-24", day)
        for block in code_blocks(LOGGING, "sh")
        if block.startswith("jq")
    ]
    calls, starts = (jq.compile(program).input_text(text).all() for program in programs)
    assert [row[1:] for row in calls] == [
        ["devin_create_session", session_id, "ok"],
        ["devin_get_session", "devin-no", "tool_error"],
    ]
    assert [row[1:] for row in starts] == [["ana", "127.0.0.1", session_id]]


def test_fingerprint_of_the_page_is_that_of_the_log() -> None:
    (command,) = (block for block in code_blocks(LOGGING, "sh") if block.startswith("echo"))
    printed = subprocess.run(
        ["sh", "-c", command],
        env={"DEVIN_API_KEY": KEY, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == label(KEY) == DevinKey(KEY).label
