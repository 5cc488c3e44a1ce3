"""Delegation on v3: fields that v1 has in its prompt, and what happens if Devin refuses one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clock import AutoClock
from tests.conftest import Connect
from tests.operations.delegations import session_bodies
from tests.upstream import Upstream, answer, lose_reply

pytestmark = pytest.mark.one_api("v3", reason="v1 has no repos and refuses no tags.")

URL = "https://sandbox.invalid/attachments/1a2b/log.txt"
REPOSITORY_REMARK = "Devin did not accept the repository as such, so the prompt names it."


def sent_bodies(upstream: Upstream) -> list[dict[str, Any]]:
    return [request.json for request in upstream.sent("create_session")]


def titles(upstream: Upstream) -> list[str]:
    return [session.title for session in upstream.organization.sessions.values()]


async def test_repository_and_files_are_fields_of_the_request(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        delegated = await client.ok(
            "delegate_task",
            prompt="Fix it",
            repository="https://github.com/acme/shop-api.git",
            files=[URL],
        )
    assert sent_bodies(upstream) == [
        {
            "prompt": "Fix it",
            "repos": ["acme/shop-api"],
            "attachment_urls": [URL],
            "tags": [delegated["tag"]],
        }
    ]
    assert "remark" not in delegated


async def test_prompt_names_a_repository_that_devin_refuses(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        delegated = await client.ok(
            "delegate_task", prompt="sandbox:refuse-repos", repository="acme/shop-api", files=[URL]
        )
    first, second = sent_bodies(upstream)
    assert first["repos"] == ["acme/shop-api"]
    assert "repos" not in second
    assert second["prompt"] == "sandbox:refuse-repos\n\nRepository: acme/shop-api"
    assert second["attachment_urls"] == [URL]
    assert second["tags"] == [delegated["tag"]] == first["tags"]
    assert delegated["remark"] == REPOSITORY_REMARK
    assert (delegated["is_new_session"], len(session_bodies(upstream))) == (True, 1)


async def test_repository_that_makes_the_prompt_too_long_is_refused(
    connect: Connect, upstream: Upstream
) -> None:
    prompt = "sandbox:refuse-repos " + "p" * 29_970
    async with connect() as client:
        text = await client.error("delegate_task", prompt=prompt, repository="acme/shop-api")
    assert "repos" in text
    assert len(sent_bodies(upstream)) == 1
    assert session_bodies(upstream) == []


async def test_refusal_of_another_field_is_reported(connect: Connect, upstream: Upstream) -> None:
    refusal = {"detail": [{"loc": ["body", "title"], "msg": "too rude"}]}
    upstream.fail_operation("create_session", answer(422, refusal))
    async with connect() as client:
        text = await client.error(
            "delegate_task", prompt="p", repository="acme/shop-api", title="t"
        )
    assert "too rude" in text
    assert len(sent_bodies(upstream)) == 1


async def test_title_carries_the_tag_that_devin_refuses(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        delegated = await client.ok(
            "delegate_task", prompt="sandbox:refuse-tags", title="Fix it", idempotency_key="k"
        )
    first, second = sent_bodies(upstream)
    (tag,) = first["tags"]
    assert "tags" not in second
    assert second["title"] == f"Fix it {tag}"
    assert "tag" not in delegated
    assert (
        delegated["remark"]
        == f"Devin accepts only certain tags, so the title ends with {tag} instead."
    )


async def test_title_is_made_from_the_prompt_if_there_is_none(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="sandbox:refuse-tags\n fix  it " + "x" * 90)
    (tag,) = sent_bodies(upstream)[0]["tags"]
    title, _, mark = sent_bodies(upstream)[1]["title"].rpartition(" ")
    assert title.startswith("sandbox:refuse-tags fix it xxx")
    assert (len(title), mark) == (60, tag)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("archived", [False, True])
async def test_session_with_a_marked_title_is_found_again(
    connect: Connect, upstream: Upstream, clock: AutoClock, *, restart: bool, archived: bool
) -> None:
    task = {"prompt": "sandbox:refuse-tags", "idempotency_key": "k"}
    async with connect() as client:
        first = await client.ok("delegate_task", **task)
        clock.skip(5)
        if archived:
            upstream.organization.sessions[first["session_id"]].archive()
        if not restart:
            again = await client.ok("delegate_task", **task)
    if restart:
        async with connect() as client:
            again = await client.ok("delegate_task", **task)
    assert again["session_id"] == first["session_id"]
    assert again["is_new_session"] is False
    assert "same idempotency_key" in again["remark"]
    assert len(session_bodies(upstream)) == 1


async def test_title_mark_of_another_key_is_not_taken(connect: Connect, upstream: Upstream) -> None:
    async with connect() as client:
        first = await client.ok("delegate_task", prompt="sandbox:refuse-tags", idempotency_key="k")
        second = await client.ok("delegate_task", prompt="sandbox:refuse-tags", idempotency_key="l")
    assert first["session_id"] != second["session_id"]
    assert len(set(titles(upstream))) == 2


async def test_same_key_with_another_prompt_is_refused_with_a_title_mark(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as client:
        await client.ok("delegate_task", prompt="sandbox:refuse-tags", idempotency_key="k")
    async with connect() as client:
        text = await client.error(
            "delegate_task", prompt="other sandbox:refuse-tags", idempotency_key="k"
        )
    assert "another idempotency_key" in text
    assert len(session_bodies(upstream)) == 1


@pytest.mark.parametrize("words", ["", " sandbox:refuse-repos"])
async def test_lost_reply_of_a_marked_title_is_found_by_the_title(
    connect: Connect, upstream: Upstream, words: str
) -> None:
    refused = answer(422, {"detail": [{"loc": ["body", "tags"], "msg": "not allowed"}]})
    upstream.fail_operation("create_session", refused, *([lose_reply] if not words else []))
    prompt = f"p{words}"
    async with connect() as client:
        if words:  # the repository is refused after the tags
            delegated = await client.ok(
                "delegate_task", prompt=prompt, repository="acme/shop-api", idempotency_key="k"
            )
            assert REPOSITORY_REMARK in delegated["remark"]
            assert "the title ends with" in delegated["remark"]
        else:
            delegated = await client.ok("delegate_task", prompt=prompt, idempotency_key="k")
            assert "found by its title" in delegated["remark"]
    assert list(upstream.organization.sessions) == [delegated["session_id"]]


async def test_unfound_session_with_a_marked_title_is_searched_for_first(
    connect: Connect, upstream: Upstream
) -> None:
    """The start is in doubt: the next call looks by the title before it starts another."""
    refused = answer(422, {"detail": [{"loc": ["body", "tags"], "msg": "not allowed"}]})
    upstream.fail_operation("create_session", refused, lose_reply)
    async with connect() as client:
        looks = [answer(200, {"items": []})] * 6  # by tag and title, then by title as tags fail
        fails = [answer(503)] * 40
        upstream.fail_operation("list_sessions", *looks, *fails)
        text = await client.error("delegate_task", prompt="p", idempotency_key="k")
        assert "whose title ends with devin-mcp-" in text
        upstream.clear_faults()
        again = await client.ok("delegate_task", prompt="p", idempotency_key="k")
    assert list(upstream.organization.sessions) == [again["session_id"]]
    assert again["is_new_session"] is False


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Repository acme/shop is not connected"},
        {"title": "Unknown repositories", "detail": None},
        {"detail": [{"loc": ["body", "repos", 0], "msg": "not found"}]},
    ],
)
async def test_refused_repository_is_recognized_in_any_words(
    connect: Connect, upstream: Upstream, body: dict[str, Any]
) -> None:
    upstream.fail_operation("create_session", answer(422, body))
    async with connect() as client:
        delegated = await client.ok("delegate_task", prompt="p", repository="acme/shop-api")
    assert delegated["remark"] == REPOSITORY_REMARK
    assert len(upstream.organization.sessions) == 1
