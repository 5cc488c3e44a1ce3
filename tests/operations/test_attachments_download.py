"""devin_download_attachment: what is returned or saved, and every reference that is refused."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp.types import ImageContent

from tests.clock import AutoClock
from tests.conftest import Connect, ToolClient, text_of
from tests.upstream import Upstream, answer, cut_reply

pytestmark = pytest.mark.usefixtures("api")

MAX_INLINE_BYTES = 512 * 1024
"""The largest file that is returned in a result."""
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQ"
    "DwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


async def test_key_is_not_sent_to_the_storage(
    connect: Connect, upstream: Upstream, clock: AutoClock
) -> None:
    async with connect() as client:
        session_id = await client.create_session("sandbox:quick")
        clock.skip(4)
        session = await client.ok("get_session", session_id=session_id)
        line = session["messages"][-1]["message"].splitlines()[-1]
        assert line.startswith('ATTACHMENT:"https://')
        result = await client("download_attachment", url=line)
    assert not result.is_error
    assert "12 tests pass" in text_of(result)
    assert result.structured_content is None
    presigned = upstream.requests[-1]
    assert presigned.path.startswith("/_presigned/")
    assert "authorization" not in presigned.headers
    assert upstream.requests[-2].headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize(
    "form",
    [
        "url",
        'ATTACHMENT:{{"url": "{url}", "fileSize": 5}}',
        "https://evil.example/attachments/{uuid}/n.txt?x=1",
    ],
)
async def test_only_uuid_and_name_of_an_attachment_url_are_used(
    connect: Connect, upstream: Upstream, form: str
) -> None:
    url = upstream.organization.store("n.txt", "text/plain", b"hello")
    uuid = url.split("/")[-2]
    reference = url if form == "url" else form.format(url=url, uuid=uuid)
    async with connect() as client:
        assert "hello" in text_of(await client("download_attachment", url=reference))
        assert "hello" in text_of(await client("download_attachment", uuid=uuid, name="n.txt"))
    assert {request.headers["host"] for request in upstream.requests} == {
        f"127.0.0.1:{upstream.port}"
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "https://app.devin.ai/sessions/1"},
        {"url": "https://x/attachments/../secrets/1"},
        {"uuid": "a/b", "name": "x"},
        {"url": "https://x/attachments/abc/..%2F..%2Fsecrets"},
        {"uuid": "abc", "name": ".."},
        {"uuid": "abc"},
        {},
        {"url": "https://x/attachments/abc/n", "name": "n"},
    ],
)
async def test_invalid_attachment_reference_is_refused_before_sending(
    connect: Connect, upstream: Upstream, arguments: dict[str, str]
) -> None:
    async with connect() as client:
        await client.error("download_attachment", **arguments)
    assert upstream.requests == []


async def test_image_is_returned_as_an_image(connect: Connect, upstream: Upstream) -> None:
    url = upstream.organization.store("p.png", "image/png", PIXEL)
    async with connect() as client:
        result = await client("download_attachment", url=url)
    image = result.content[-1]
    assert isinstance(image, ImageContent)
    assert base64.b64decode(image.data) == PIXEL


async def test_binary_file_must_be_saved(connect: Connect, upstream: Upstream, files: Path) -> None:
    url = upstream.organization.store("b.bin", "application/octet-stream", b"\xff\xfe\x00")
    async with connect(files_root=files) as client:
        assert "save_to" in await client.error("download_attachment", url=url)
        saved = await client("download_attachment", url=url, save_to=".")
    assert "Saved to" in text_of(saved)
    assert (files / "b.bin").read_bytes() == b"\xff\xfe\x00"


@pytest.mark.parametrize(
    ("save_to", "says"),
    [
        ("existing.bin", "exists already"),
        ("../x", "outside the allowed"),
        (".venv", "leads to a hidden"),
        (".venv/evil.pth", "leads to a hidden"),
        (".envrc", "leads to a hidden"),
        ("no/such/x", "directory exist"),
    ],
)
async def test_save_to_an_unsafe_path_is_refused(
    connect: Connect, upstream: Upstream, files: Path, save_to: str, says: str
) -> None:
    url = upstream.organization.store("b.bin", "application/octet-stream", b"new")
    (files / "existing.bin").write_bytes(b"old")
    (files / ".venv").mkdir()
    async with connect(files_root=files) as client:
        assert says in await client.error("download_attachment", url=url, save_to=save_to)
    assert (files / "existing.bin").read_bytes() == b"old"
    assert list((files / ".venv").iterdir()) == []


@pytest.mark.parametrize(
    "declared", ["application/octet-stream", "binary/octet-stream", "image/jpg", ""]
)
async def test_image_type_is_detected_from_the_content(
    connect: Connect, upstream: Upstream, declared: str
) -> None:
    upstream.fail_operation("download_attachment", answer(200, PIXEL, content_type=declared))
    async with connect() as client:
        result = await client("download_attachment", uuid="u", name="shot")
    image = next(part for part in result.content if isinstance(part, ImageContent))
    assert (image.mime_type, base64.b64decode(image.data)) == ("image/png", PIXEL)


async def test_svg_is_returned_as_text(connect: Connect, upstream: Upstream) -> None:
    url = upstream.organization.store("plan.svg", "image/svg+xml", b"<svg/>")
    async with connect() as client:
        assert "<svg/>" in text_of(await client("download_attachment", url=url))


async def test_text_is_decoded_in_its_declared_charset(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation(
        "download_attachment",
        answer(200, "für".encode("latin-1"), content_type="text/plain; charset=ISO-8859-1"),
        answer(200, b"\xff\xfe", content_type="text/plain; charset=nonsense"),
    )
    async with connect() as client:
        assert text_of(await client("download_attachment", uuid="u", name="t.txt")).endswith("für")
        assert "is binary" in await client.error("download_attachment", uuid="u", name="t.txt")


async def test_large_file_is_refused_inline_and_streamed_to_disk(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    url = upstream.organization.store("big.txt", "text/plain", b"x" * (MAX_INLINE_BYTES + 1))
    async with connect(files_root=files) as client:
        text = await client.error("download_attachment", url=url)
        await client("download_attachment", url=url, save_to="big.txt")
    assert str(MAX_INLINE_BYTES) in text
    assert "save_to" in text
    assert (files / "big.txt").stat().st_size == MAX_INLINE_BYTES + 1


async def test_error_over_http_does_not_name_save_to(connect: Connect, upstream: Upstream) -> None:
    url = upstream.organization.store("big.txt", "text/plain", b"x" * (MAX_INLINE_BYTES + 1))
    async with connect(transport="http") as client:
        assert "save_to" not in await client.error("download_attachment", url=url)


async def test_long_text_is_read_on_from_a_character(connect: Connect, upstream: Upstream) -> None:
    url = upstream.organization.store("long.txt", "text/plain", b"0123456789" * 1000)
    async with connect(result_limit=2000) as client:
        first = await client("download_attachment", url=url)
        end = int(re.search(r"from_char=(\d+)", text_of(first))[1])  # type: ignore[index]
        assert len(text_of(first)) <= 2000
        assert text_of(first).endswith(("0123456789" * 1000)[end - 10 : end])
        second = await client("download_attachment", url=url, from_char=9990)
    assert text_of(second).endswith("0123456789")


async def test_cut_text_is_counted_from_the_start_of_the_file(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail_operation(
        "download_attachment", *[answer(200, b"x" * 60_000, content_type="text/plain")] * 2
    )

    async def facts_of_download(client: ToolClient, **arguments: int) -> dict[str, Any]:
        result = await client("download_attachment", uuid="u", name="t.txt", **arguments)
        facts: dict[str, Any] = json.loads(text_of(result).split("\n")[0])
        return facts

    async with connect() as client:
        first = await facts_of_download(client)
        end = int(re.findall(r"from_char=(\d+)", first["next"])[0])
        second = await facts_of_download(client, from_char=end)
    assert (first["truncated"], first["length"]) == (True, 60_000)
    assert second["length"] == 60_000
    assert int(re.findall(r"character (\d+) of 60000", second["next"])[0]) > end


async def test_control_characters_count_with_their_escaped_length(
    connect: Connect, upstream: Upstream
) -> None:
    url = upstream.organization.store("log.txt", "text/" + "x" * 6000, b"\x1b" * 20_000)
    async with connect() as client:
        result = await client("download_attachment", url=url)
    assert sum(len(part.model_dump_json()) for part in result.content) <= 25_000 + 200


async def test_broken_download_leaves_no_partial_file(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    url = upstream.organization.store("n.txt", "text/plain", b"hello" * 100)
    upstream.fail("GET", "/_presigned/.*", cut_reply)
    async with connect(files_root=files) as client:
        assert "broke off" in await client.error("download_attachment", url=url, save_to="n.txt")
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("location", ["http://example.com/x", "ftp://127.0.0.1/x", "//[bad", ""])
async def test_download_redirect_must_be_https(
    connect: Connect, upstream: Upstream, location: str
) -> None:
    upstream.fail_operation("download_attachment", answer(307, None, location=location))
    async with connect() as client:
        text = await client.error("download_attachment", uuid="abc", name="n")
    assert "redirect" in text.lower()
    (sent,) = upstream.sent("download_attachment")
    assert sent.path.endswith("/attachments/abc/n")
    assert upstream.requests[-1] is sent


PLAYBOOK = {"title": "t", "body": "b"}
INVALID_LOCATIONS = [
    "https://xn--zzzzzz-/",
    "https:x",
    "https://127.0.0.1:99999/",
    "https://127.0.0.1:-1/",
    "https://127.0.0.1:0/",
    "https://127.0.0.1:port/",
    "https://[::1/",
    "https://127.0.0.1/" + "a" * 70_000,
    "//127.0.0.1:99999/",
]


@pytest.mark.parametrize(
    ("location", "says"),
    [
        *((location, "an invalid address") for location in INVALID_LOCATIONS),
        ("javascript:x", "an invalid address"),
        ("http://storage.example/", "not https"),
    ],
)
async def test_download_redirect_to_an_invalid_url_is_refused(
    connect: Connect, upstream: Upstream, location: str, says: str
) -> None:
    upstream.fail_operation("download_attachment", answer(307, None, location=location))
    async with connect() as client:
        text = await client.error("download_attachment", uuid="abc", name="n")
    assert text.startswith("Devin redirected the download to an")
    assert says in text
    assert "Nothing was fetched." in text


async def test_unexpected_redirect_may_lead_anywhere(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        for location in INVALID_LOCATIONS:
            for tool, arguments in (("list_secrets", {}), ("create_playbook", PLAYBOOK)):
                upstream.fail_operation(tool, answer(307, None, location=location))
                text = await client.error(tool, **arguments)
                assert "Devin answered with an unexpected redirect (307)." in text


async def test_expired_link_and_unknown_file_report_their_status(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "GET",
        "/_presigned/.*",
        answer(403, b"<Error>expired</Error>", content_type="application/xml"),
    )
    url = upstream.organization.store("n.txt", "text/plain", b"hello")
    async with connect() as client:
        assert "403" in await client.error("download_attachment", url=url)
        assert "404" in await client.error("download_attachment", uuid="abc", name="n")
