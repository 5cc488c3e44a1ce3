"""Repositories that Devin can reach: the list, and the check before a delegation."""

from __future__ import annotations

from typing import Any

import pytest
from mcp import MCPError
from mcp.types import PromptReference

from tests.conftest import Connect
from tests.operations.delegations import session_bodies
from tests.upstream import Fault, Upstream, answer

pytestmark = pytest.mark.one_api("v3", reason="v1 has no list of repositories.")

NEW = {"repo_path": "acme/new-service", "repo_name": "new-service"}


def write_repositories(upstream: Upstream, count: int) -> None:
    upstream.organization.repositories = [
        {"repo_path": f"acme/service-{number:04d}", "repo_name": f"service-{number:04d}"}
        for number in range(count)
    ]


async def test_repositories_are_listed_and_filtered_by_devin(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        listed = await client.ok("list_repositories")
        filtered = await client.ok("list_repositories", name="web")
    assert listed["repositories"][0] == {
        "repository": "acme/shop-api",
        "description": "The shop's HTTP API",
        "language": "Python",
        "updated_at": listed["repositories"][0]["updated_at"],
    }
    assert [row["repository"] for row in filtered["repositories"]] == ["acme/shop-web"]
    assert [request.query for request in upstream.sent("list_repositories")] == [
        "first=200",
        "first=200&filter_name=web",
    ]


async def test_long_list_is_paged_and_nothing_is_missing(
    connect: Connect, upstream: Upstream
) -> None:
    write_repositories(upstream, 450)
    async with connect(result_limit=5000) as client:
        rows = await client.list_all("list_repositories", "repositories")
    assert len({row["repository"] for row in rows}) == len(rows) == 450


async def test_missing_repository_says_where_access_is_granted(connect: Connect) -> None:
    async with connect() as client:
        listed = await client.ok("list_repositories", name="nothing-like-it")
    assert listed["repositories"] == []
    assert "Settings > Integrations" in listed["next"]


async def test_missing_route_is_one_sentence(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("list_repositories", answer(404, {"detail": "Not Found"}))
    async with connect() as client:
        text = await client.error("list_repositories")
        upstream.fail_operation("list_repositories", answer(404, {"detail": "Not Found"}))
        with pytest.raises(MCPError) as refused:
            await client.read("devin://repositories")
    sentence = "This deployment of Devin does not offer that (404)."
    assert text == f"{sentence} Nothing was changed. It is a beta of the Organization API."
    assert sentence in str(refused.value)
    assert "Unknown resource" not in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        ("acme/shop-apj", "acme/shop-api"),
        ("amce/shop-web", "acme/shop-web"),
        ("somebody/infrastructure", "acme/infrastructure"),
        ("https://github.com/acme/shop-webb.git", "acme/shop-web"),
    ],
)
async def test_repository_out_of_reach_is_refused_before_anything_starts(
    connect: Connect, upstream: Upstream, wanted: str, meant: str
) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", repository=wanted)
    assert f'; did you mean "{meant}"? Nothing was started.' in text
    assert "Settings > Integrations" in text
    assert session_bodies(upstream) == []


async def test_repository_that_resembles_none_gets_no_suggestion(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", repository="other/unrelated")
    assert text.startswith('Devin cannot reach the repository "other/unrelated". Nothing was')
    assert session_bodies(upstream) == []


async def test_case_of_letters_is_taken_from_devin(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="ACME/Shop-API")
    assert session_bodies(upstream)[0]["repos"] == ["acme/shop-api"]


async def test_repeated_delegation_with_another_case_is_the_same(
    connect: Connect, upstream: Upstream
) -> None:
    task = {"prompt": "sandbox:refuse-repos", "idempotency_key": "k"}
    async with connect() as client:
        first = await client.ok("delegate_task", repository="Acme/shop-api", **task)
    async with connect() as client:  # another process, which only knows what Devin has
        again = await client.ok("delegate_task", repository="Acme/shop-api", **task)
    assert again["session_id"] == first["session_id"]
    assert again["is_new_session"] is False


async def test_prompts_that_differ_in_case_are_two_tasks(connect: Connect) -> None:
    task = {"repository": "acme/shop-api", "idempotency_key": "k"}
    async with connect() as client:
        await client.ok("delegate_task", prompt="Rename Foo to foo", **task)
    async with connect() as client:
        text = await client.error("delegate_task", prompt="Rename foo to Foo", **task)
    assert "started with another prompt" in text


async def test_one_of_several_spellings_is_sent_as_it_is_given(
    connect: Connect, upstream: Upstream
) -> None:
    """Two hosts may have repositories whose names differ only in case."""
    upstream.organization.repositories = [
        {"repo_path": path, "repo_name": "web"} for path in ("Acme/Web", "acme/web")
    ]
    async with connect() as client:
        for name in ("acme/web", "Acme/Web", "ACME/web"):
            await client.ok("delegate_task", prompt="p", repository=name)
    assert [body["repos"] for body in session_bodies(upstream)] == [
        ["acme/web"],
        ["Acme/Web"],
        ["ACME/web"],
    ]


@pytest.mark.parametrize("path", ["https://github.com/acme/widgets", "acme/widgets.git"])
async def test_path_that_devin_writes_as_an_address_is_the_same(
    connect: Connect, upstream: Upstream, path: str
) -> None:
    upstream.organization.repositories = [{"repo_path": path, "repo_name": "widgets"}]
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="acme/widgets")
    assert session_bodies(upstream)[0]["repos"] == ["acme/widgets"]


async def test_empty_list_refuses_nothing(connect: Connect, upstream: Upstream) -> None:
    upstream.organization.repositories = []
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="other/unknown")
    assert len(session_bodies(upstream)) == 1


async def test_caller_who_does_not_see_the_list_gets_nothing_of_it(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(toolsets="sessions") as client:
        await client.ok("delegate_task", prompt="p", repository="acme/shop-apj")
    assert upstream.sent("list_repositories") == []
    assert session_bodies(upstream)[0]["repos"] == ["acme/shop-apj"]


async def test_many_delegations_ask_once(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        for number in range(3):
            await client.ok("delegate_task", prompt=f"p{number}", repository="acme/shop-api")
    assert len(session_bodies(upstream)) == 3
    assert len(upstream.sent("list_repositories")) == 1


async def test_access_granted_a_moment_ago_counts(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        await client.error("delegate_task", prompt="p", repository="acme/new-service")
        upstream.organization.repositories.append(NEW)
        await client.ok("delegate_task", prompt="p", repository="acme/new-service")
    assert session_bodies(upstream)[0]["repos"] == ["acme/new-service"]


@pytest.mark.parametrize(
    "fault",
    [
        answer(404, {"detail": "Not Found"}),
        answer(403, {"detail": "Forbidden"}),
        answer(429, {"detail": "Slow down"}),
        answer(503),
        answer(200, {"items": "none"}),
    ],
    ids=["missing", "forbidden", "too often", "down", "unreadable"],
)
async def test_delegation_goes_on_where_the_list_cannot_be_read(
    connect: Connect, upstream: Upstream, fault: Fault
) -> None:
    upstream.fail_operation("list_repositories", *[fault] * 9)
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="other/unknown")
    assert session_bodies(upstream)[0]["repos"] == ["other/unknown"]


ONE_ROW: dict[str, Any] = {"items": [NEW], "has_next_page": True}


@pytest.mark.parametrize("end_cursor", [None, ""], ids=["no cursor", "empty cursor"])
async def test_delegation_goes_on_where_the_list_is_cut_off(
    connect: Connect, upstream: Upstream, end_cursor: str | None
) -> None:
    body = ONE_ROW | {"end_cursor": end_cursor}
    upstream.fail_operation("list_repositories", *[answer(200, body)] * 2)
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="other/unknown")
    assert session_bodies(upstream)[0]["repos"] == ["other/unknown"]


async def test_list_that_is_cut_off_says_so(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("list_repositories", answer(200, ONE_ROW | {"end_cursor": None}))
    async with connect() as client:
        listed = await client.ok("list_repositories")
    assert listed["next"].startswith("Devin has more rows and does not say where they begin.")


async def test_delegation_goes_on_where_there_are_too_many_to_know(
    connect: Connect, upstream: Upstream
) -> None:
    write_repositories(upstream, 1001)
    async with connect() as client:
        await client.ok("delegate_task", prompt="p", repository="acme/service-1000")
        await client.ok("delegate_task", prompt="q", repository="acme/service-1001")
    assert len(session_bodies(upstream)) == 2
    assert len(upstream.sent("list_repositories")) == 5


async def test_wrong_key_is_told_as_such(connect: Connect, upstream: Upstream) -> None:
    upstream.fail_operation("list_repositories", answer(401, {"detail": "Unauthenticated"}))
    async with connect() as client:
        text = await client.error("delegate_task", prompt="p", repository="acme/shop-api")
    assert "does not accept this API key" in text
    assert session_bodies(upstream) == []


async def test_repositories_are_a_resource(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        text = await client.read("devin://repositories")
        assert "| acme/shop-web | TypeScript | The shop as customers see it | " in text
        upstream.organization.repositories = []
    async with connect() as client:
        assert "Settings > Integrations" in await client.read("devin://repositories")


@pytest.mark.parametrize("typed", ["shop-w", "acme/shop-w", "SHOP-W"])
async def test_repository_of_a_prompt_is_completed(connect: Connect, typed: str) -> None:
    async with connect() as client:
        result = await client.sdk.complete(
            PromptReference(type="ref/prompt", name="standup"),
            {"name": "repository", "value": typed},
        )
    assert result.completion.values == ["acme/shop-web"]
