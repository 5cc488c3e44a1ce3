"""devin_upload_attachment: what is uploaded, and every path that is refused."""

from __future__ import annotations

import asyncio
import base64
import os
import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from devin_mcp.keys import DevinApi
from tests.conftest import Connect, eventually
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQ"
    "DwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


async def test_uploaded_text_returns_its_url(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    """v1 attaches a file by a line of the prompt, v3 by a field with the URL."""
    async with connect() as client:
        uploaded = await client.ok("upload_attachment", content="hello\n", name="notes.txt")
    lines = {"v1": f'ATTACHMENT:"{uploaded["url"]}"', "v3": None}
    assert uploaded.get("line") == lines[api]
    ((file_id, name), stored) = next(iter(upstream.organization.files.items()))
    assert stored == ("text/plain", b"hello\n")
    assert uploaded["url"].endswith(f"/attachments/{file_id}/{name}")
    assert len(upstream.organization.files) == 1


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
    assert uploaded["bytes"] == len(PIXEL)
    assert [data for _, data in upstream.organization.files.values()] == [PIXEL, PIXEL]


async def test_file_outside_the_allowed_directories_is_not_uploaded(
    connect: Connect, upstream: Upstream, files: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("private")
    (files / "link.txt").symlink_to(outside)
    async with connect(files_root=files) as client:
        for path in ("../outside.txt", str(outside), "link.txt", "~/.ssh/id_rsa", "a\x00"):
            text = await client.error("upload_attachment", path=path)
            assert "private" not in text
            assert "outside the allowed" in text or "not a usable path" in text
    assert upstream.requests == []


async def test_only_ordinary_files_are_uploaded(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    os.mkfifo(files / "pipe")
    async with connect(files_root=files) as client:
        assert "no ordinary file" in await client.error("upload_attachment", path="pipe")
        assert "no ordinary file" in await client.error("upload_attachment", path=".")
        assert "can be read" in await client.error("upload_attachment", path="missing.txt")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"path": "x", "content": "y", "name": "z"}, "not both"),
        ({"name": "z"}, "path, or content"),
        ({"content": "y", "name": "../z"}, "plain file name"),
        ({"content": "@@@", "encoding": "base64", "name": "x"}, "not base64"),
    ],
)
async def test_invalid_upload_arguments_are_refused(
    connect: Connect, upstream: Upstream, files: Path, arguments: dict[str, str], says: str
) -> None:
    async with connect(files_root=files) as client:
        assert says in await client.error("upload_attachment", **arguments)
    assert upstream.requests == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors")
async def test_refused_paths_leave_no_descriptor_open(
    connect: Connect, upstream: Upstream, files: Path
) -> None:
    """Neither a directory to upload nor a name that is too long to save to."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with connect(files_root=files) as client:
        for _ in range(20):
            await client.error("upload_attachment", path=".")
        url = upstream.organization.store("n.txt", "text/plain", b"x")
        for _ in range(20):
            text = await client.error("download_attachment", url=url, save_to="a" * 300)
        assert "cannot be written" in text
        assert len(list(Path("/proc/self/fd").iterdir())) < before + 10
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
    """The server reads late, so most of the file is unsent when the call is cancelled."""

    def lines(event: str) -> list[dict[str, Any]]:
        return [line for line in logs() if line["event"] == event]

    content = os.urandom(8 * 1024 * 1024)
    (files / "large.bin").write_bytes(content)
    gate, started, received = asyncio.Event(), asyncio.Event(), bytearray()

    async def read_after_the_gate(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
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

    server = await asyncio.start_server(read_after_the_gate, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connect(files_root=files, DEVIN_BASE_URL=address, org_id="org-1") as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client("upload_attachment", path="large.bin"))
            await started.wait()
            group.cancel_scope.cancel()
        await eventually(lambda: bool(lines("mcp_call")))  # the call has ended
        gate.set()
        await eventually(lambda: bool(lines("late_reply")))
    assert content in received
    assert [line["outcome"] for line in lines("late_reply")] == ["ok"]
