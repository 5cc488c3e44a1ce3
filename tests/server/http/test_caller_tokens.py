"""--caller-tokens-file: read again when it changes, without losing callers to an invalid edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.server.http.caller_tokens import MAX_REVOKED, CallerTokens
from devin_mcp.server.http.rejections import RequestRejected
from devin_mcp.settings import SettingsError
from tests.conftest import settings_for
from tests.http_client import start_http_server
from tests.server.http.conftest import ANA_TOKEN, BEN_TOKEN, token_line
from tests.server.http.raw_requests import post_ping
from tests.upstream import Upstream

Logs = Callable[[], list[dict[str, Any]]]


async def status_for(url: str, token: str) -> int:
    return (await post_ping(url, authorization=f"Bearer {token}")).status_code


async def test_tokens_file_is_read_again_and_an_invalid_one_changes_nothing(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    carla = "carla-token"
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with start_http_server(settings) as url:
        assert await status_for(url, ANA_TOKEN) == 200
        assert await status_for(url, carla) == 403
        new_file = tokens_file.with_name("new")
        new_file.write_text(token_line("carla", carla))
        new_file.replace(tokens_file)  # as a cluster replaces a mounted secret
        assert await status_for(url, ANA_TOKEN) == 403
        assert await status_for(url, carla) == 200
        tokens_file.write_text("carla:not a digest\n")
        assert await status_for(url, carla) == 200, "an invalid line locks nobody out"
        assert await status_for(url, ANA_TOKEN) == 403, "and admits nobody"
        tokens_file.unlink()
        assert await status_for(url, carla) == 200
        tokens_file.write_text("")
        assert await status_for(url, carla) == 200, "the file may be just being written"
        tokens_file.write_bytes(b"\xff\xfe")
        assert await status_for(url, carla) == 200, "PowerShell begins with a byte-order mark"
        tokens_file.write_text("# nobody\n")
        assert await status_for(url, carla) == 403
    lines = [line for line in logs() if line["event"] == "caller_tokens"]
    assert [line["reason"] for line in lines if "reason" in line] == [
        "line 1 is not name:sha256, with the digest as 64 hexadecimal digits",
        "No such file or directory",
        *[
            (
                "it is empty, as a file is while it is being written; "
                "to admit no caller, put a comment in it"
            )
        ]
        * 2,
    ]


async def test_mounted_tokens_file_is_read_again(upstream: Upstream, tmp_path: Path) -> None:
    """A mounted file is a link to a link to a directory; an update replaces the second link."""

    def update(version: str, content: str) -> None:
        (tmp_path / version).mkdir()
        (tmp_path / version / "callers").write_text(content)
        (tmp_path / "new").symlink_to(version)
        (tmp_path / "new").rename(tmp_path / "..data")

    update("..v1", token_line("ben", BEN_TOKEN))
    file = tmp_path / "callers"
    file.symlink_to("..data/callers")
    async with start_http_server(
        settings_for(upstream, auth="token", caller_tokens_file=file)
    ) as url:
        assert await status_for(url, BEN_TOKEN) == 200
        update("..v2", token_line("ana", ANA_TOKEN))
        (tmp_path / "..v1" / "callers").unlink()
        (tmp_path / "..v1").rmdir()
        assert await status_for(url, BEN_TOKEN) == 403
        assert await status_for(url, ANA_TOKEN) == 200


@pytest.mark.parametrize(
    ("content", "reason"),
    [("ana\n", "line 1"), ("ana:12\n", "line 1"), ("\xff", "it is not a text file")],
)
def test_unusable_tokens_file_stops_the_start(tmp_path: Path, content: str, reason: str) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(SettingsError, match=f"--caller-tokens-file cannot be used: .*{reason}"):
        CallerTokens(file)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
async def test_byte_order_mark_is_no_part_of_the_first_name(
    upstream: Upstream, tmp_path: Path, encoding: str
) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16-") else ""
    file = tmp_path / "tokens"
    file.write_bytes(f"{mark}{token_line('ana', ANA_TOKEN)}".encode(encoding))
    settings = settings_for(upstream, auth="token", caller_tokens_file=file)
    async with start_http_server(settings) as url:
        assert await status_for(url, ANA_TOKEN) == 200
        assert await status_for(url, BEN_TOKEN) == 403


async def test_revoked_token_has_its_own_reason(
    upstream: Upstream, tokens_file: Path, logs: Logs
) -> None:
    """As long as it is not in the file again; no token is logged."""
    settings = settings_for(upstream, auth="token", caller_tokens_file=tokens_file)
    async with start_http_server(settings) as url:
        assert await status_for(url, ANA_TOKEN) == 200
        tokens_file.write_text(token_line("ben", BEN_TOKEN))
        response = await post_ping(url, authorization=f"Bearer {ANA_TOKEN}")
        assert "This bearer token is not valid any more." in response.text
        assert await status_for(url, "never-valid") == 403
        assert (await post_ping(url)).status_code == 403
        tokens_file.write_text(token_line("ben", BEN_TOKEN) + token_line("ana", ANA_TOKEN))
        assert await status_for(url, ANA_TOKEN) == 200
    rejected = [
        (line["reason"], line.get("caller")) for line in logs() if line["event"] == "http_rejected"
    ]
    assert rejected == [("revoked_token", "ana"), ("unknown_token", None), ("no_token", None)]
    assert ANA_TOKEN not in str(logs())


def test_number_of_revoked_tokens_is_bounded(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    count = MAX_REVOKED + 10
    file.write_text("".join(token_line(f"c{number}", str(number)) for number in range(count)))
    tokens = CallerTokens(file)
    file.write_text("# nobody\n")
    reasons = []
    for number in (0, count - 1):
        with pytest.raises(RequestRejected) as rejection:
            tokens.caller_for(str(number))
        reasons.append(rejection.value.reason)
    assert reasons == ["unknown_token", "revoked_token"]


@pytest.mark.parametrize("content", ["", "# none\n"])
def test_file_that_admits_nobody_is_a_warning_at_the_start(
    tmp_path: Path, logs: Logs, content: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(content)
    CallerTokens(file)
    (line,) = [line for line in logs() if line["event"] == "caller_tokens"]
    assert (line["level"], line["outcome"], line["count"]) == ("warning", "nobody is admitted", 0)
