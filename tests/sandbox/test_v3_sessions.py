"""Sessions of v3: states, filters, pages and the words in a prompt that select an oddity."""

from __future__ import annotations

from typing import Any

import pytest

from devin_mcp.sandbox import Sandbox
from devin_mcp.sandbox.v3.sessions import INACTIVITY_SECONDS
from tests.sandbox.conftest import client_for
from tests.sandbox.v3_client import ORGANIZATION, SESSIONS, read, start, v3_client


def state(session: dict[str, Any]) -> tuple[str, str | None]:
    return session["status"], session["status_detail"]


async def test_session_of_v1_is_read_messaged_and_ended_by_v3(sandbox: Sandbox) -> None:
    async with client_for(sandbox, "apk_sandbox") as v1, v3_client(sandbox) as v3:
        created = (await v1.post("/v1/sessions", json={"prompt": "p", "tags": ["a"]})).json()
        path = f"{SESSIONS}/{created['session_id']}"
        sandbox.clock.advance(5)
        session = await read(v3, path)
        assert state(session) == ("running", "waiting_for_user")
        assert (session["tags"], session["user_id"]) == (["a"], "user-sandbox")
        assert (await v3.post(f"{path}/messages", json={"message": "strict"})).status_code == 200
        sandbox.clock.advance(5)
        assert state(await read(v3, path)) == ("running", "finished")
        detail = (await v1.get(f"/v1/sessions/{created['session_id']}")).json()
        assert detail["status_enum"] == "finished"
        assert detail["messages"][2]["message"] == "strict"
        assert (await v3.delete(path)).json()["status"] == "exit"
        detail = (await v1.get(f"/v1/sessions/{created['session_id']}")).json()
        assert detail["status_enum"] == "stopped"


async def test_ids_are_bare_in_bodies_and_prefixed_in_paths(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "p")
        session = await read(client, path)
        bare = session["session_id"]
        assert bare.isalnum()
        assert session["url"].endswith(f"/sessions/{bare}")
        assert (await client.get(f"{SESSIONS}/{bare}")).status_code == 404
        assert (await client.post(f"{SESSIONS}/{bare}/archive")).status_code == 200


async def test_details_are_empty_in_answers_to_changes(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "sandbox:quick", structured_output_schema={"type": "object"})
        sandbox.clock.advance(5)
        session = await read(client, path)
        assert session["structured_output"] == {}
        assert session["pull_requests"][0].keys() == {"pr_url", "pr_state"}
        for answer in (
            await client.post(f"{path}/messages", json={"message": "m"}),
            await client.post(f"{path}/archive"),
            await client.post(f"{path}/unarchive"),
            await client.delete(path),
        ):
            row = answer.json()
            assert (row["status_detail"], row["structured_output"]) == (None, None)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("quick", ("running", "waiting_for_user")),
        ("sleep", ("suspended", "inactivity")),
        ("quota-hold", ("suspended", "out_of_quota")),
        ("expire", ("exit", None)),
        ("forever", ("running", "working")),
        ("never-starts", ("new", None)),
    ],
)
async def test_state_follows_the_script(
    sandbox: Sandbox, word: str, expected: tuple[str, str | None]
) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, f"sandbox:{word}")
        assert (await read(client, path))["acus_consumed"] is None
        sandbox.clock.advance(5)
        session = await read(client, path)
        assert state(session) == expected
        assert session["acus_consumed"] == (None if expected[0] == "new" else 0.0)


async def test_delivered_session_is_suspended_later_and_can_be_woken(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "sandbox:quick")
        sandbox.clock.advance(INACTIVITY_SECONDS + 10)
        await read(client, path)
        assert state(await read(client, path)) == ("suspended", "inactivity")
        await client.post(f"{path}/messages", json={"message": "more"})
        assert state(await read(client, path)) == ("running", "working")


async def test_archived_session_is_read_only_until_unarchived(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "p")
        await client.post(f"{path}/archive")
        sandbox.clock.advance(10)
        session = await read(client, path)
        assert (session["is_archived"], state(session)) == (True, ("suspended", "inactivity"))
        assert (await client.put(f"{path}/tags", json={"tags": []})).status_code == 400
        refused = await client.post(f"{path}/messages", json={"message": "m"})
        assert (refused.status_code, "archived" in refused.json()["detail"]) == (400, True)
        await client.post(f"{path}/unarchive")
        assert (await client.post(f"{path}/messages", json={"message": "m"})).status_code == 200


async def test_terminated_session_can_be_archived_and_takes_no_message(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "p")
        assert (await client.delete(path, params={"archive": "true"})).json()["is_archived"]
        assert (await client.delete(path)).status_code == 400
        await client.post(f"{path}/unarchive")
        assert (await client.post(f"{path}/messages", json={"message": "m"})).status_code == 400


async def test_tags_are_appended_without_duplicates_or_replaced(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "p", tags=["a"])
        added = await client.post(f"{path}/tags", json={"tags": ["b", "a"]})
        assert added.json() == {"tags": ["a", "b"]}
        many = {"tags": [str(number) for number in range(49)]}
        assert (await client.post(f"{path}/tags", json=many)).status_code == 422
        assert (await client.put(f"{path}/tags", json={"tags": ["c"]})).json() == {"tags": ["c"]}
        assert await read(client, f"{path}/tags") == {"tags": ["c"]}


async def test_attachments_are_listed_with_their_source(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        file = {"file": ("a b.txt", b"a", "text/plain")}
        url = (await client.post(f"{ORGANIZATION}/attachments", files=file)).json()["url"]
        path = await start(client, "sandbox:quick", attachment_urls=[url])
        sandbox.clock.advance(5)
        sent, report = await read(client, f"{path}/attachments")
    assert (sent["name"], sent["source"], sent["content_type"]) == ("a b.txt", "user", "text/plain")
    assert (report["name"], report["source"]) == ("report.md", "devin")


async def test_list_filters_sessions(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        first = await start(client, "p", tags=["a", "b"], repos=["acme/shop-api"], playbook_id="x")
        sandbox.clock.advance(10)
        session = await read(client, first)
        second = await start(client, "q", tags=["a"])
        await client.post(f"{second}/archive")
        for query, count in (
            ({"tags": ["a", "b"]}, 1),
            ({"tags": "a"}, 2),
            ({"session_ids": [session["session_id"], "x"]}, 1),
            ({"repo_names": "acme/shop-api"}, 1),
            ({"playbook_id": "x"}, 1),
            ({"category": "security"}, 0),
            ({"user_ids": "user-sandbox"}, 0),
            ({"service_user_ids": "service-user-sandbox"}, 2),
            ({"automation_ids": "x"}, 0),
            ({"origins": "api"}, 2),
            ({"is_archived": "false"}, 1),
            ({"created_after": session["created_at"]}, 1),
            ({"created_before": session["created_at"] + 5}, 1),
        ):
            assert len((await read(client, SESSIONS, **query))["items"]) == count, query
        wrong = await client.get(SESSIONS, params={"is_archived": "maybe"})
        assert wrong.status_code == 422


async def test_list_is_read_page_by_page(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        paths = [await start(client, "p") for _ in range(3)]
        page = await read(client, SESSIONS, first=2)
        assert (len(page["items"]), page["has_next_page"], page["total"]) == (2, True, 3)
        rest = await read(client, SESSIONS, first=2, after=page["end_cursor"])
        assert paths[0].endswith(rest["items"][0]["session_id"])
        assert (rest["end_cursor"], rest["has_next_page"]) == (None, False)
        for query in ({"after": "é"}, {"after": "xx"}, {"first": 0}, {"first": 201}):
            assert (await client.get(SESSIONS, params=query)).status_code == 422


async def test_messages_are_paged_and_readable_at_work(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        path = await start(client, "p")
        sandbox.clock.advance(2)
        assert len((await read(client, f"{path}/messages"))["items"]) == 1
        sandbox.clock.advance(3)
        page = await read(client, f"{path}/messages", first=1)
        rest = await read(client, f"{path}/messages", after=page["end_cursor"])
    rows = [*page["items"], *rest["items"]]
    assert [row["source"] for row in rows] == ["user", "devin"]
    assert all(isinstance(row["created_at"], int) for row in rows)


async def test_cursor_repeats_on_request(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        await start(client, "sandbox:repeat-cursor")
        await start(client, "p")
        cursor = (await read(client, SESSIONS, first=1))["end_cursor"]
        page = await read(client, SESSIONS, first=1, after=cursor)
    assert (page["end_cursor"], page["has_next_page"]) == (cursor, True)


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [("refuse-tags", "tags", ["t"]), ("refuse-repos", "repos", ["acme/shop-api"])],
)
async def test_refused_field_starts_nothing_on_request(
    sandbox: Sandbox, word: str, field: str, value: list[str]
) -> None:
    async with v3_client(sandbox) as client:
        body = {"prompt": f"sandbox:{word}"}
        refused = await client.post(SESSIONS, json=body | {field: value})
        assert (refused.status_code, field in refused.text) == (422, True)
        assert (await read(client, SESSIONS))["items"] == []
        path = await start(client, body["prompt"])
        tags = await client.put(f"{path}/tags", json={"tags": ["t"]})
        assert tags.status_code == (422 if field == "tags" else 200)


async def test_lost_reply_leaves_a_session(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        lost = await client.post(SESSIONS, json={"prompt": "sandbox:lose-reply"})
        assert lost.status_code == 504
        assert len((await read(client, SESSIONS))["items"]) == 1


@pytest.mark.parametrize("field", ["idempotent", "titel"])
async def test_field_that_is_not_in_the_contract_is_refused(sandbox: Sandbox, field: str) -> None:
    """The real API ignores it: a test shall notice that it protects or names nothing."""
    async with v3_client(sandbox) as client:
        refused = await client.post(SESSIONS, json={"prompt": "p", field: True})
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["body", field]
        assert (await read(client, SESSIONS))["items"] == []


@pytest.mark.parametrize(("word", "status"), [("quota", 403), ("session-limit", 429)])
async def test_creation_is_refused_on_request(sandbox: Sandbox, word: str, status: int) -> None:
    async with v3_client(sandbox) as client:
        refused = await client.post(SESSIONS, json={"prompt": f"sandbox:{word}"})
        assert (refused.status_code, refused.json().keys()) == (status, {"detail"})
