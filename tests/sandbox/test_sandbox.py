"""The simulated Devin keeps the contract and the oddities, and shares nothing between keys."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from devin_mcp.sandbox import Sandbox
from devin_mcp.sandbox.schema_examples import example_of
from tests.conventions.test_schemas import CONTRACT


def web(box: Sandbox, key: str = "apk_one") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(box.app()),
        base_url="http://127.0.0.1",
        headers={"authorization": f"Bearer {key}"},
    )


@pytest.fixture
def box() -> Sandbox:
    return Sandbox(parallel=3)


async def test_two_keys_see_their_own_organizations(box: Sandbox) -> None:
    async with web(box, "apk_one") as one, web(box, "apk_two") as two:
        made = (await one.post("/v1/sessions", json={"prompt": "p"})).json()
        assert (await two.get(f"/v1/sessions/{made['session_id']}")).status_code == 404
        assert (await two.get("/v1/sessions")).json() == {"sessions": []}


@pytest.mark.parametrize(
    ("key", "status"), [("", 401), ("nonsense", 401), ("cog_x", 403), ("apk_x", 200)]
)
async def test_keys_are_told_apart(box: Sandbox, key: str, status: int) -> None:
    async with web(box, key) as client:
        assert (await client.get("/v1/sessions")).status_code == status


async def test_unknown_routes_and_fields_are_refused(box: Sandbox) -> None:
    async with web(box) as client:
        assert (await client.get("/v1/me")).status_code == 404
        assert (await client.patch("/v1/sessions")).status_code == 405
        bodies: list[Any] = [
            {"prompt": "p", "repo_url": "x"},
            {},
            {"prompt": ""},
            {"prompt": 5},
            [],
            {"prompt": "p", "tags": ["x"] * 51},
            {"prompt": "x" * 30_001},
        ]
        for body in bodies:
            refused = await client.post("/v1/sessions", json=body)
            assert refused.status_code == 422
            assert refused.json()["detail"][0]["loc"][0] == "body"
        assert (await client.post("/v1/sessions", content=b"{")).status_code == 422
        assert (await client.post("/v1/attachments", files={"wrong": b"x"})).status_code == 422


async def test_a_waiting_session_still_occupies_a_slot(box: Sandbox) -> None:
    async with web(box) as client:
        ids = [
            (await client.post("/v1/sessions", json={"prompt": "p"})).json()["session_id"]
            for _ in range(3)
        ]
        box.clock.advance(10)
        refused = await client.post("/v1/sessions", json={"prompt": "p"})
        assert (refused.status_code, "at once" in refused.json()["detail"]) == (429, True)
        await client.delete(f"/v1/sessions/{ids[0]}")
        assert (await client.post("/v1/sessions", json={"prompt": "p"})).status_code == 200


async def test_a_starved_session_holds_nothing_but_the_prompt(box: Sandbox) -> None:
    async with web(box) as client:
        made = (await client.post("/v1/sessions", json={"prompt": "sandbox:never-starts"})).json()
        box.clock.advance(3600)
        got = (await client.get(f"/v1/sessions/{made['session_id']}")).json()
    assert (got["status_enum"], [message["type"] for message in got["messages"]]) == (
        None,
        ["initial_user_message"],
    )


async def test_a_download_link_lives_for_a_minute_and_takes_no_key(box: Sandbox) -> None:
    async with web(box) as client:
        url = (await client.post("/v1/attachments", files={"file": ("a b.txt", b"hello")})).json()
        place = url.removeprefix("https://sandbox.invalid")
        link = (await client.get(f"/v1{place}")).headers["location"]
        assert (await client.get(link)).status_code == 400
        async with web(box, "") as nobody:
            del nobody.headers["authorization"]
            assert (await nobody.get(link)).content == b"hello"
            box.clock.advance(61)
            assert (await nobody.get(link)).status_code == 403


async def test_a_title_made_of_a_prompt_is_one_line(box: Sandbox) -> None:
    async with web(box) as client:
        one = (
            await client.post("/v1/sessions", json={"prompt": "Fix it\n\nRepository: acme/shop"})
        ).json()["session_id"]
        assert (await client.get(f"/v1/sessions/{one}")).json()[
            "title"
        ] == "Fix it Repository: acme/shop…"


async def test_answers_keep_the_documented_shapes(box: Sandbox) -> None:
    def shape(name: str) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{name}", "components": CONTRACT["components"]}

    async with web(box) as client:
        made = (
            await client.post(
                "/v1/sessions",
                json={"prompt": "sandbox:quick", "structured_output_schema": {"type": "object"}},
            )
        ).json()
        jsonschema.validate(made, shape("CreateSessionResponse"))
        box.clock.advance(5)
        jsonschema.validate(
            (await client.get("/v1/sessions")).json(), shape("ListSessionsResponse")
        )
        jsonschema.validate(
            (await client.get(f"/v1/sessions/{made['session_id']}")).json(), shape("SessionDetail")
        )
        jsonschema.validate(
            (await client.get("/v1/knowledge")).json(), shape("ListKnowledgeResponse")
        )
        for book in (await client.get("/v1/playbooks")).json():
            jsonschema.validate(book, shape("Playbook"))
        for secret in (await client.get("/v1/secrets")).json():
            jsonschema.validate(secret, shape("SecretMetadata"))


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "properties": {
                "a": {"type": "string", "minLength": 20},
                "b": {"enum": ["x", "y"]},
                "c": {"const": 3},
            },
        },
        {"type": "array", "items": {"type": "number", "minimum": 5}, "minItems": 2},
        {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        {"type": ["null", "string"]},
        {},
        {"type": "string", "maxLength": 3},
        {
            "$ref": "#/definitions/a",
            "definitions": {
                "a": {
                    "type": "object",
                    "required": ["b"],
                    "properties": {"b": {"$ref": "#/definitions/c"}},
                },
                "c": {"type": "integer", "maximum": -4},
            },
        },
        {
            "allOf": [
                {
                    "properties": {"a": {"type": "integer", "exclusiveMinimum": 5}},
                    "required": ["a"],
                },
                {"required": ["b"]},
            ]
        },
        {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
        {"type": "array", "maxItems": 0},
        {"type": "object", "required": ["x"]},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": "integer", "multipleOf": 7, "minimum": 3},
        {
            "$ref": "#/definitions/tree",
            "definitions": {
                "tree": {"type": "object", "properties": {"next": {"$ref": "#/definitions/tree"}}}
            },
        },
        {"type": "string", "format": "date-time"},
        {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True},
    ],
)
def test_a_structured_output_is_valid(schema: dict[str, Any]) -> None:
    jsonschema.validate(example_of(schema), schema)
