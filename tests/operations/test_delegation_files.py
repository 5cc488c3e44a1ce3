"""The files of a delegation: URLs of attachments, and local files that are uploaded first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect
from tests.operations.delegations import session_bodies
from tests.upstream import Exchange, Upstream, lose_reply

pytestmark = pytest.mark.usefixtures("api")


def file_urls(upstream: Upstream, api: DevinApi) -> list[str]:
    """The URLs that the only session was started with: a field on v3, lines on v1."""
    (request,) = upstream.sent("create_session")
    if api == "v3":
        return list(request.json["attachment_urls"])
    _, _, lines = request.json["prompt"].partition("\n\n")
    return re.findall('^ATTACHMENT:"(.*)"$', lines, re.MULTILINE)


@pytest.mark.one_api("v1", reason="v3 takes the repository apart from the prompt.")
async def test_prompt_that_is_too_long_with_its_repository_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p" * 29_990, repository="acme/shop-api")
    assert "30017 characters" in text
    assert upstream.requests == []


@pytest.mark.one_api("v1", reason="v3 does not document the form of an attachment's URL.")
async def test_file_url_of_another_site_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", files=["https://evil.example/x"])
    assert "no attachment's" in text
    assert upstream.requests == []


async def test_files_are_urls_over_http(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    async with connect(transport="http", DEVIN_APP_URL="https://sandbox.invalid") as client:
        text = await client.error("delegate_task", prompt="p", files=["log.txt"])
        assert "devin_upload_attachment" in text
        url = (await client.ok("upload_attachment", content="x", name="a.csv"))["url"]
        await client.ok("delegate_task", prompt="p", files=[url])
    assert file_urls(upstream, api) == [url]


@pytest.mark.one_api("v1", reason="v3 takes the URL as Devin gave it; its form is not documented.")
async def test_file_url_with_another_host_gets_the_host_of_the_web_app(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(transport="http", DEVIN_APP_URL="https://sandbox.invalid") as client:
        url = (await client.ok("upload_attachment", content="x", name="a.csv"))["url"]
        other_url = url.replace("sandbox.invalid", "evil.example") + "?x=1"
        await client.ok("delegate_task", prompt="p", files=[other_url])
    assert session_bodies(upstream)[0]["prompt"].endswith(f'\n\nATTACHMENT:"{url}"')


@pytest.mark.one_api("v1", reason="v3 takes the URL as Devin gave it; its form is not documented.")
async def test_file_url_is_normalized_where_the_web_app_is_unknown(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok(
            "delegate_task",
            prompt="p",
            files=["https://acme.example:8443/x/attachments/1-2/Über%20uns.txt?sig=3#4"],
        )
    line = session_bodies(upstream)[0]["prompt"].splitlines()[-1]
    assert line == 'ATTACHMENT:"https://acme.example:8443/attachments/1-2/%C3%9Cber%20uns.txt"'


@pytest.mark.parametrize(
    "url",
    ['https://a"\n/attachments/1-2/a.txt', "https://user:pass@a/attachments/1-2/a.txt"],
)
async def test_file_url_with_credentials_or_line_breaks_is_refused(
    connect: Connect, upstream: Upstream, url: str
) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", files=[url])
    assert "files[0] is no file that can be read" in text
    assert "pass" not in text
    assert upstream.requests == []


async def test_failed_upload_starts_nothing_and_names_the_uploaded_files(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (files / name).write_text(name)

    async def upload_then_fail(exchange: Exchange) -> None:
        upstream.fail_operation("upload_attachment", lose_reply)
        response = await exchange.forward(exchange.request)
        await exchange.reply(
            response.status_code, response.content, {"content-type": "application/json"}
        )

    upstream.fail_operation("upload_attachment", upload_then_fail)
    async with connect(files_root=files) as client:
        text = await client.error("delegate_task", prompt="p", files=["a.txt", "b.txt"])
    assert "No session was started" in text
    assert re.search(
        r"to be given as files: \"https://sandbox.invalid/attachments/[0-9a-f-]+/a.txt\"", text
    )
    assert session_bodies(upstream) == []


async def test_max_sessions_is_checked_before_the_upload(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    (files / "a.txt").write_text("a")
    async with connect(files_root=files, max_sessions=0) as client:
        assert "--max-sessions" in await client.error("delegate_task", prompt="p", files=["a.txt"])
    assert upstream.requests == []
