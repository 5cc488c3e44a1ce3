"""The skills extension (SEP-2640): one skill, for callers who have the tools that it names."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml

from devin_mcp.server.skills import FILE, SKILLS
from tests.conftest import settings_for
from tests.http_client import request_with, start_http_server
from tests.upstream import Upstream

URI = "skill://delegating-to-devin/SKILL.md"


async def request(url: str, method: str, *, declared: bool = True, **params: Any) -> dict[str, Any]:
    """The answer to a client that declares skills on this request, or does not."""
    return await request_with({SKILLS: {}} if declared else {}, url, method, **params)


async def test_skill_is_listed_and_its_file_is_read_as_announced(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream)) as url:
        (entry,) = (await request(url, "skills/list"))["result"]["skills"]
        got = await request(url, "skills/get", uri=entry["uri"])
        read = await request(url, "resources/read", uri=entry["uri"])
    assert got["result"]["skill"] == entry
    assert entry["uri"] == URI
    text = read["result"]["contents"][0]["text"]
    assert text == FILE.read_text()
    assert entry["frontmatter"] == yaml.safe_load(text.split("---")[1])
    (file,) = entry["resources"]
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert file == {"uri": URI, "digest": f"sha256:{digest}", "size": len(text.encode())}


@pytest.mark.parametrize("declared", [True, False])
async def test_only_a_client_that_declares_skills_sees_the_file_among_resources(
    upstream: Upstream, *, declared: bool
) -> None:
    async with start_http_server(settings_for(upstream)) as url:
        listed = await request(url, "resources/list", declared=declared)
    uris = {resource["uri"] for resource in listed["result"]["resources"]}
    assert "devin://sessions" in uris
    assert (URI in uris) == declared


@pytest.mark.parametrize("setting", [{"read_only": "true"}, {"toolsets": "knowledge"}])
async def test_skill_is_hidden_where_its_tools_are(
    upstream: Upstream, setting: dict[str, str]
) -> None:
    async with start_http_server(settings_for(upstream, **setting)) as url:
        listed = await request(url, "skills/list")
        got = await request(url, "skills/get", uri=URI)
        read = await request(url, "resources/read", uri=URI)
    assert listed["result"]["skills"] == []
    assert "Unknown skill" in got["error"]["message"]
    assert "Unknown resource" in read["error"]["message"]


async def test_unknown_skill_is_an_error_that_names_the_next_step(upstream: Upstream) -> None:
    async with start_http_server(settings_for(upstream)) as url:
        got = await request(url, "skills/get", uri="skill://other/SKILL.md")
    assert got["error"]["code"] == -32602
    assert got["error"]["message"].endswith("See skills/list.")
