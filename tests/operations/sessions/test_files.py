"""The files of a session: what Devin made, and what it was given."""

from __future__ import annotations

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 does not list the files of a session.")


async def test_screenshot_is_found_and_fetched(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    url = upstream.organization.store("log.txt", "text/plain", b"given")
    async with connect() as client:
        session_id = await client.create_session("sandbox:quick", attachment_urls=[url])
        clock.skip(10)
        listed = await client.ok("list_session_files", session_id=session_id)
        report, given = listed["files"]
        assert (report["name"], report["source"]) == ("report.md", "devin")
        assert (given["name"], given["source"]) == ("log.txt", "user")
        assert report["content_type"] == "text/markdown"
        file = await client("download_attachment", url=report["url"])
    assert "12 tests pass" in str(file.content)
    assert "devin_download_attachment" in listed["next"]


async def test_screenshot_of_an_earlier_session_is_seen(connect: Connect, clock: AutoClock) -> None:
    async with connect() as client:
        await client.create_session("sandbox:screenshot", title="Check the checkout")
        clock.skip(3600)
        (session,) = (await client.ok("list_sessions"))["sessions"]
        listed = await client.ok("list_session_files", session_id=session["session_id"])
        (url,) = (file["url"] for file in listed["files"] if file["content_type"] == "image/png")
        image = await client("download_attachment", url=url)
    assert any(part.type == "image" for part in image.content)


async def test_session_without_files_says_so(connect: Connect) -> None:
    async with connect() as client:
        session_id = await client.create_session()
        listed = await client.ok("list_session_files", session_id=session_id)
    assert listed["files"] == []
    assert listed["next"] == "The session has no files."


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["array", "items"])
async def test_both_documented_shapes_are_read(
    connect: Connect, upstream: Upstream, *, is_wrapped: bool
) -> None:
    """The reference has an array, a guide {items} (v3.md §5.7)."""
    rows = [
        {"attachment_id": "1", "name": "a.png", "url": "https://x.invalid/a", "source": "devin"}
    ]
    body = {"items": rows} if is_wrapped else rows
    upstream.fail_operation("list_session_files", answer(200, body))
    async with connect() as client:
        listed = await client.ok("list_session_files", session_id="devin-1")
    assert [file["name"] for file in listed["files"]] == ["a.png"]


async def test_many_files_are_paged_and_none_is_missing(
    connect: Connect, upstream: Upstream
) -> None:
    rows = [
        {"name": f"{number}.png", "url": f"https://x.invalid/{number}", "source": "devin"}
        for number in range(300)
    ]
    upstream.fail_operation("list_session_files", *[answer(200, rows)] * 20)
    async with connect(result_limit=3000) as client:
        files = await client.list_all("list_session_files", "files", session_id="devin-1")
    assert [file["name"] for file in files] == [row["name"] for row in rows]


async def test_report_of_a_session_has_its_files(connect: Connect, clock: AutoClock) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:quick")
        clock.skip(10)
        text = await client.read(f"devin://sessions/{session_id}")
    assert "## Files\n\n| Name | From | Type | Address |" in text
    assert "| report.md | Devin | text/markdown | https://sandbox.invalid/attachments/" in text


async def test_report_has_no_files_where_their_tool_is_hidden(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect(toolsets="sessions") as client:
        session_id = await client.create_session("sandbox:quick")
        clock.skip(10)
        text = await client.read(f"devin://sessions/{session_id}")
    assert "## Files" not in text
    assert upstream.sent("list_session_files") == []


async def test_report_is_readable_where_the_files_are_not(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation("list_session_files", answer(403, {"detail": "Forbidden"}))
    async with connect() as client:
        session_id = await client.create_session("Add a check")
        text = await client.read(f"devin://sessions/{session_id}")
    assert "## Files\n\nThey could not be read." in text
    assert "> Add a check" in text
