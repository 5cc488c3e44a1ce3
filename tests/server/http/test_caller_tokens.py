"""--caller-tokens-file: read again when it changes, without losing callers to an invalid edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from devin_mcp.server.http.serve import authenticator_for
from devin_mcp.settings import SettingsError, resolve
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
        tokens_file.write_text("# nobody\n")
        assert await status_for(url, carla) == 403
    lines = [line for line in logs() if line["event"] == "caller_tokens"]
    assert [line["reason"] for line in lines if "reason" in line] == [
        "line 1 is not name:sha256, with the digest as 64 hexadecimal digits",
        "No such file or directory",
        (
            "it is empty, as a file is while it is being written; "
            "to admit no caller, put a comment in it"
        ),
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
        authenticator_for(resolve({"auth": ["token"], "caller_tokens_file": [str(file)]}, {}))
