"""Attachments in both directions, and every path, URL and redirect that is refused."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.types import ImageContent

from devin_mcp.operations.attachments import MAX_INLINE_BYTES
from tests.clock import AutoClock
from tests.conftest import Connect, text_of
from tests.upstream import Upstream, answer

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize("location", ["https://xn--zzzzzz-/", "https:x", "javascript:x"])
async def test_download_redirect_to_an_invalid_url_is_refused(
    connect: Connect, upstream: Upstream, location: str
) -> None:
    upstream.fail("GET", "/v1/attachments/.*", answer(307, None, location=location))
    async with connect() as client:
        assert "a bug in it" not in await client.error("download_attachment", uuid="abc", name="n")


async def test_uploaded_text_returns_its_line_for_the_prompt(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        uploaded = await client.ok("upload_attachment", content="hello\n", name="notes.txt")
    assert uploaded["line"] == f'ATTACHMENT:"{uploaded["url"]}"'
    assert list(upstream.organization.files.values()) == [("text/plain", b"hello\n")]


async def test_base64_and_files_in_an_allowed_directory_are_uploaded(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    (files / "pixel.png").write_bytes(PIXEL)
    async with connect(files_root=files) as client:
        await client.ok(
            "upload_attachment",
            content=base64.b64encode(PIXEL).decode(),
            encoding="base64",
            name="a b.png",
        )
        uploaded = await client.ok("upload_attachment", path="pixel.png")
        assert "not base64" in await client.error(
            "upload_attachment", content="@@@", encoding="base64", name="x"
        )
    assert uploaded["bytes"] == len(PIXEL)
    assert [data for _, data in upstream.organization.files.values()] == [PIXEL, PIXEL]


async def test_file_outside_the_allowed_directories_is_not_uploaded(
    connect: Connect, upstream: Upstream, files: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("private")
    (files / "link.txt").symlink_to(outside)
    os.mkfifo(files / "pipe")
    async with connect(files_root=files) as client:
        for path in ("../outside.txt", str(outside), "link.txt", "~/.ssh/id_rsa", "\x00"):
            text = await client.error("upload_attachment", path=path)
            assert "private" not in text
            assert "outside the allowed" in text or "not a usable path" in text
        assert "no ordinary file" in await client.error("upload_attachment", path="pipe")
        assert (
            "no ordinary file" in await client.error("upload_attachment", path=".")
            or os.name == "posix"
        )
        assert "can be read" in await client.error("upload_attachment", path="missing.txt")
        assert "not both" in await client.error(
            "upload_attachment", path="x", content="y", name="z"
        )
        assert "path, or content" in await client.error("upload_attachment", name="z")
        assert "plain file name" in await client.error(
            "upload_attachment", content="y", name="../z"
        )
    assert upstream.requests == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors")
async def test_refused_paths_leave_no_descriptor_open(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with connect(files_root=files) as client:
        for _ in range(20):
            assert "no ordinary file" in await client.error("upload_attachment", path=".")
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 10
        url = upstream.organization.store("n.txt", "text/plain", b"x")
        assert "cannot be written" in await client.error(
            "download_attachment", url=url, save_to="a" * 300
        )
    assert upstream.count("POST") == 0


async def test_file_name_that_is_not_unicode_is_refused(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    file = files / os.fsdecode(b"caf\xe9.txt")
    file.write_bytes(b"x")
    (files / "link").symlink_to(file)
    async with connect(files_root=files) as client:
        assert "plain file name" in await client.error("upload_attachment", path="link")
    assert upstream.count("POST") == 0


async def test_cancelled_upload_completes_with_its_whole_file(
    connect: Connect, files: Path, logs: Any
) -> None:
    """The reader is slow, so most of the file is still to be sent when the caller goes away."""
    content = os.urandom(8 * 1024 * 1024)
    (files / "large.bin").write_bytes(content)
    gate, started, received = asyncio.Event(), asyncio.Event(), bytearray()

    async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        started.set()
        await gate.wait()
        received.extend(
            await reader.readexactly(int(re.findall(r"content-length: (\d+)", head.lower())[0]))
        )
        writer.write(
            b'HTTP/1.1 200 X\r\ncontent-length: 31\r\n\r\n"https://x/attachments/u/l.bin" '
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(read_slowly, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connect(files_root=files, DEVIN_BASE_URL=address) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client("upload_attachment", path="large.bin"))
            await started.wait()
            group.cancel_scope.cancel()
        await asyncio.sleep(0.05)
        gate.set()
        with anyio.fail_after(10):
            while not [line for line in logs() if line["event"] == "late_reply"]:  # noqa: ASYNC110 - written by the server
                await anyio.sleep(0.01)
    assert content in received
    assert [line["outcome"] for line in logs() if line["event"] == "late_reply"] == ["ok"]


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
    assert {seen.headers["host"] for seen in upstream.requests} == {f"127.0.0.1:{upstream.port}"}


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


async def test_image_is_returned_as_an_image(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    image = upstream.organization.store("p.png", "image/png", PIXEL)
    binary = upstream.organization.store("b.bin", "application/octet-stream", b"\xff\xfe\x00")
    async with connect(files_root=files) as client:
        shown = await client("download_attachment", url=image)
        assert isinstance(shown.content[-1], ImageContent)
        assert base64.b64decode(shown.content[-1].data) == PIXEL
        assert "save_to" in await client.error("download_attachment", url=binary)
        saved = await client("download_attachment", url=binary, save_to=".")
        assert (files / "b.bin").read_bytes() == b"\xff\xfe\x00"
        assert "Saved to" in text_of(saved)
        assert "exists already" in await client.error(
            "download_attachment", url=binary, save_to="b.bin"
        )
        assert "outside the allowed" in await client.error(
            "download_attachment", url=binary, save_to="../x"
        )
        (files / ".venv").mkdir()
        for hidden in (".venv", ".venv/evil.pth", ".envrc"):
            assert "leads to a hidden" in await client.error(
                "download_attachment", url=binary, save_to=hidden
            )
        assert "directory exist" in await client.error(
            "download_attachment", url=binary, save_to="no/such/x"
        )


@pytest.mark.parametrize(
    "declared", ["application/octet-stream", "binary/octet-stream", "image/jpg", ""]
)
async def test_image_type_is_detected_from_the_content(
    connect: Connect, upstream: Upstream, declared: str
) -> None:
    upstream.fail("GET", "/v1/attachments/.*", answer(200, PIXEL, content_type=declared))
    async with connect() as client:
        result = await client("download_attachment", uuid="u", name="shot")
    picture = next(part for part in result.content if isinstance(part, ImageContent))
    assert (picture.mime_type, base64.b64decode(picture.data)) == ("image/png", PIXEL)


async def test_svg_is_returned_as_text(connect: Connect, upstream: Upstream) -> None:
    url = upstream.organization.store("plan.svg", "image/svg+xml", b"<svg/>")
    async with connect() as client:
        assert "<svg/>" in text_of(await client("download_attachment", url=url))


async def test_text_is_decoded_in_its_declared_charset(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.fail(
        "GET",
        "/v1/attachments/.*",
        answer(200, "für".encode("latin-1"), content_type="text/plain; charset=ISO-8859-1"),
        answer(200, b"\xff\xfe", content_type="text/plain; charset=nonsense"),
    )
    async with connect() as client:
        assert text_of(await client("download_attachment", uuid="u", name="t.txt")).endswith("für")
        assert "is binary" in await client.error("download_attachment", uuid="u", name="t.txt")


async def test_large_file_is_refused_inline_and_streamed_to_disk(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    big = upstream.organization.store("big.txt", "text/plain", b"x" * (MAX_INLINE_BYTES + 1))
    async with connect(files_root=files) as client:
        text = await client.error("download_attachment", url=big)
        assert str(MAX_INLINE_BYTES) in text
        assert "save_to" in text
        await client("download_attachment", url=big, save_to="big.txt")
    assert (files / "big.txt").stat().st_size == MAX_INLINE_BYTES + 1
    async with connect(transport="http") as client:
        assert "save_to" not in await client.error("download_attachment", url=big)


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
    upstream.fail(
        "GET", "/v1/attachments/.*", *[answer(200, b"x" * 60_000, content_type="text/plain")] * 2
    )
    async with connect() as client:
        first = json.loads(
            text_of(await client("download_attachment", uuid="u", name="t.txt")).split("\n")[0]
        )
        end = int(re.findall(r"from_char=(\d+)", first["next"])[0])
        assert (first["truncated"], first["length"]) == (True, 60_000)
        then = json.loads(
            text_of(
                await client("download_attachment", uuid="u", name="t.txt", from_char=end)
            ).split("\n")[0]
        )
    assert then["length"] == 60_000
    assert int(re.findall(r"character (\d+) of 60000", then["next"])[0]) > end


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
    from tests.upstream import halved

    url = upstream.organization.store("n.txt", "text/plain", b"hello" * 100)
    upstream.fail("GET", "/_presigned/.*", halved)
    async with connect(files_root=files) as client:
        assert "broke off" in await client.error("download_attachment", url=url, save_to="n.txt")
    assert list(files.iterdir()) == []


@pytest.mark.parametrize("location", ["http://example.com/x", "ftp://127.0.0.1/x", "//[bad", ""])
async def test_download_redirect_must_be_https(
    connect: Connect, upstream: Upstream, location: str
) -> None:
    upstream.fail("GET", "/v1/attachments/.*", answer(307, None, location=location))
    async with connect() as client:
        text = await client.error("download_attachment", uuid="abc", name="n")
    assert "redirect" in text.lower()
    assert all(seen.path.startswith("/v1/") for seen in upstream.requests[:1])


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
