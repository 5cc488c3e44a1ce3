"""Resources in both protocol eras: lists, templates, reading and errors."""

from __future__ import annotations

from typing import Any

import pytest
from mcp import MCPError
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, ResourceTemplateReference

from devin_mcp.keys import DevinApi
from devin_mcp.sandbox.sample_data import NOTES, PLAYBOOKS, playbook
from devin_mcp.server.resources import MAX_RESOURCE_CHARS
from tests.clock import AutoClock
from tests.conftest import Connect, Era
from tests.server.contents import write_notes, write_playbooks
from tests.server.test_prompts import FIXED_PROMPTS
from tests.upstream import Upstream, answer

pytestmark = pytest.mark.usefixtures("api")

OF_BOTH = ["devin://account", "devin://knowledge", "devin://playbooks", "devin://sessions"]
INDEXES: dict[DevinApi, list[str]] = {
    "v1": OF_BOTH,
    "v3": sorted([*OF_BOTH, "devin://repositories"]),
}
"""Resources that are no records."""


async def test_resources_are_listed_in_a_stable_order(
    connect: Connect, era: Era, api: DevinApi
) -> None:
    async with connect(era=era) as client:
        uris = [resource.uri for resource in await client.resources()]
        again = [resource.uri for resource in await client.resources()]
    assert uris == again
    assert sorted(uris[: len(INDEXES[api])]) == INDEXES[api]
    assert len(uris) == len(INDEXES[api]) + len(NOTES) + len(PLAYBOOKS)


async def test_listed_resources_are_described_as_they_are_read(
    connect: Connect, api: DevinApi
) -> None:
    async with connect() as client:
        resources = (await client.resources())[len(INDEXES[api]) :]
        texts = {resource.uri: await client.read(resource.uri) for resource in resources}
    for resource in resources:
        assert resource.description
        assert "\n" not in resource.description
        assert resource.mime_type == "text/markdown"
        assert resource.size == len(texts[resource.uri].encode())
        assert resource.annotations is not None
        assert resource.annotations.audience == ["user", "assistant"]
        assert texts[resource.uri].startswith(f"# {resource.title}\n")
        # v1 does not say when a note was changed
        is_dated = resource.annotations.last_modified is not None
        assert is_dated is resource.uri.startswith("devin://playbooks/")


async def test_each_template_names_its_tool(connect: Connect, era: Era) -> None:
    async with connect(era=era) as client:
        templates = (await client.sdk.list_resource_templates()).resource_templates
        tools = (await client.sdk.list_tools()).tools
    descriptions = {tool.name: tool.description or "" for tool in tools}
    assert {template.uri_template for template in templates} == {
        "devin://playbooks/{playbook_id}",
        "devin://knowledge/{note_id}",
        "devin://sessions/{session_id}",
        "devin://sessions/{session_id}/messages{?after}",
    }
    for template in templates:
        name = next(name for name in descriptions if name in (template.description or ""))
        assert template.uri_template in descriptions[name]


@pytest.mark.parametrize(
    "uri",
    [
        "devin://sessions/devin-none",
        "devin://knowledge/note-none",
        "devin://playbooks/playbook-none",
        "devin://nothing",
    ],
)
async def test_unknown_resource_is_invalid_params(connect: Connect, era: Era, uri: str) -> None:
    async with connect(era=era) as client:
        with pytest.raises(MCPError) as refused:
            await client.sdk.read_resource(uri)
    assert refused.value.error.code == INVALID_PARAMS
    assert refused.value.error.data == {"uri": uri}
    assert uri in refused.value.error.message


@pytest.mark.parametrize(
    "segment", ["..%2Fsecrets", "%2e%2e", "a%20b", "a%00", "%D7%90", "x" * 200, "a%2F..%2Fb"]
)
@pytest.mark.parametrize("noun", ["sessions", "knowledge", "playbooks"])
async def test_uri_with_an_invalid_id_is_refused_before_sending(
    connect: Connect, upstream: Upstream, noun: str, segment: str
) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.sdk.read_resource(f"devin://{noun}/{segment}")
    assert refused.value.error.code == INVALID_PARAMS
    assert upstream.requests == []


async def test_server_error_fails_the_read_and_not_the_list(
    connect: Connect, upstream: Upstream, clock: AutoClock, logs: Any, era: Era, api: DevinApi
) -> None:
    upstream.fail_operation("list_knowledge", *[answer(503)] * 8)
    async with connect(era=era) as client:
        page = await client.sdk.list_resources(cache_mode="bypass")
        with pytest.raises(MCPError, match=r"server error \(503\)") as refused:
            await client.read("devin://knowledge/note-0001")
    assert refused.value.error.code == INTERNAL_ERROR
    assert len(page.resources) == len(INDEXES[api]) + len(PLAYBOOKS)
    if era == "auto":
        assert page.ttl_ms == 0, "clients must not cache an incomplete list"
    calls = [line for line in logs() if line["event"] == "mcp_call"]
    assert [(line["method"], line["outcome"], line["error"]) for line in calls] == [
        ("resources/list", "ok", "broken"),
        ("resources/read", "tool_error", "broken"),
    ]
    assert calls[0]["incomplete"] is True


async def test_indexes_are_listed_without_a_key(connect: Connect, upstream: Upstream) -> None:
    async with connect(DEVIN_API_KEY="") as client:
        assert sorted(resource.uri for resource in await client.resources()) == INDEXES["v1"]
    assert upstream.requests == []


async def test_reading_without_a_key_names_the_missing_setting(connect: Connect) -> None:
    async with connect(DEVIN_API_KEY="") as client:
        with pytest.raises(MCPError, match="DEVIN_API_KEY"):
            await client.read("devin://playbooks")


async def test_ttl_is_sent_in_the_2026_revision(connect: Connect) -> None:
    async with connect(cache_ttl=12) as client:
        page = await client.sdk.list_resources(cache_mode="bypass")
        note = await client.sdk.read_resource("devin://knowledge/note-0001", cache_mode="bypass")
        uri = f"devin://sessions/{await client.create_session()}"
        session = await client.sdk.read_resource(uri, cache_mode="bypass")
    assert (page.ttl_ms, note.ttl_ms, session.ttl_ms) == (12_000, 12_000, 0)
    assert {result.cache_scope for result in (page, note, session)} == {"private"}


async def test_five_thousand_notes_are_listed_read_and_completed(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    write_notes(upstream, 5000, size=2000)
    async with connect() as client:
        assert len(await client.resources()) == 5000 + len(INDEXES[api]) + len(PLAYBOOKS)
        assert len(await client.read("devin://knowledge/note-04999")) > 2000
        table = await client.read("devin://knowledge")
        template = ResourceTemplateReference(type="ref/resource", uri="devin://knowledge/{note_id}")
        for typed in ("n", "note-0", "note-04", "note-0499"):
            result = await client.sdk.complete(template, {"name": "note_id", "value": typed})
            completion = result.completion
            assert len(completion.values) == min(100, completion.total or 0) > 0
    assert len(table) <= 25_000 + 200
    assert "more do not fit here. Search them with devin_list_knowledge." in table
    pages = {"v1": 1, "v3": 25}[api]
    assert len(upstream.sent("list_knowledge")) == pages, "each page is read once"
    assert len(upstream.sent("list_playbooks")) == 1


async def test_playbook_with_an_invalid_id_is_not_listed(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    time = {"v1": "soon", "v3": "2026-01-01T00:00:00Z"}[api]  # v3 has numbers
    invalid_ids = ("playbook x", "a/b", "x\n- prompt: evil", "p" * 200)
    for playbook_id in invalid_ids:
        upstream.organization.playbooks[playbook_id] = playbook(playbook_id, "Odd", "b", None, time)
    async with connect() as client:
        uris = [resource.uri for resource in await client.resources()]
        prompts = (await client.sdk.list_prompts()).prompts
        rows = (await client.ok("list_playbooks"))["playbooks"]
    assert len([uri for uri in uris if uri.startswith("devin://playbooks/")]) == len(PLAYBOOKS)
    assert len(prompts) == len(PLAYBOOKS) + len(FIXED_PROMPTS[api])
    assert len(rows) == len(PLAYBOOKS) + len(invalid_ids), "the tool lists all of them"


async def test_playbooks_of_any_title_are_listed(connect: Connect, upstream: Upstream) -> None:
    titles = ["デプロイ", "x" * 400, "a/b?c#d", "\n\n two lines", "😀"]
    write_playbooks(
        upstream, *((f"playbook-{number}", title, None) for number, title in enumerate(titles))
    )
    async with connect() as client:
        listed = [resource for resource in await client.resources() if "playbooks/" in resource.uri]
        for resource in listed:
            await client.read(resource.uri)
    assert len(listed) == len(titles)


async def test_long_resource_is_cut_and_counted(
    connect: Connect, upstream: Upstream, api: DevinApi
) -> None:
    playbook_id = next(iter(upstream.organization.playbooks))
    upstream.organization.playbooks[playbook_id]["body"] = "x" * 3_000_000
    async with connect() as client:
        text = await client.read(f"devin://playbooks/{playbook_id}")
    assert len(text) < MAX_RESOURCE_CHARS + 1000
    assert f"Cut at character {MAX_RESOURCE_CHARS} of " in text
    assert "devin_get_playbook reads on." in text
