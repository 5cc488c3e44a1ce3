"""The sandbox's v3 against v3.openapi.yaml: routes, query parameters, bodies of both directions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from devin_mcp.sandbox import Sandbox
from devin_mcp.sandbox.schema_examples import example_of
from devin_mcp.sandbox.v3.app import ROUTES
from devin_mcp.sandbox.v3.bodies import CHOICES, SHAPES
from tests.sandbox.v3_client import CONTRACT, ORGANIZATION, resolved, start, v3_client, validate

SCHEMAS = CONTRACT["components"]["schemas"]

every_route = pytest.mark.parametrize(("method", "path"), ROUTES)


def operation(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = CONTRACT["paths"][path][method.lower()]
    return found


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = content["content"]["application/json"]["schema"]
    return schema


async def send(
    sandbox: Sandbox, method: str, path: str, body: dict[str, Any] | None
) -> httpx.Response:
    """Send a request to a resource that exists."""
    key = "cog_sandbox_enterprise" if "enterprise" in path else "cog_sandbox"
    sandbox.parallel = 9
    async with v3_client(sandbox, key) as client:
        session = await start(client, "sandbox:quick", structured_output_schema={})
        upload = await client.post(f"{ORGANIZATION}/attachments", files={"file": ("a.txt", b"a")})
        values = {
            "org_id": "org-sandbox",
            "devin_id": session.rpartition("/")[2],
            "note_id": "note-0001",
            "playbook_id": "playbook-0001",
            "secret_id": "secret-0001",
            "schedule_id": "sched-0001",
            "session_id": session.rpartition("/")[2],
            "uuid": upload.json()["attachment_id"],
            "name": "a.txt",
        }
        sandbox.clock.advance(5)
        if (method, path.rpartition("/")[2]) == ("POST", "attachments"):
            return upload
        return await client.request(method, path.format(**values), json=body)


def request_schema(method: str, path: str) -> dict[str, Any] | None:
    body = operation(method, path).get("requestBody")
    if body is None or "application/json" not in body["content"]:
        return None
    return schema_of(body)


EXAMPLES = {
    "macro": "!example",
    "frequency": "0 9 * * 1",
    "scheduled_at": None,
    "target_devin_id": None,
}
"""Values that no type tells. A schedule recurs, so it has no moment and no target."""
NEEDED = {
    "ScheduleCreateRequest": {"frequency"},
    "ScheduleUpdateRequest": {"frequency"},
}
"""What a recurring schedule needs beyond the contract (v3-additions.md §10)."""


def full_example(schema: dict[str, Any]) -> dict[str, Any]:
    example: dict[str, Any] = example_of(resolved(schema))
    return example | {name: value for name, value in EXAMPLES.items() if name in example}


@every_route
async def test_answer_is_valid_for_the_contract(sandbox: Sandbox, method: str, path: str) -> None:
    schema = request_schema(method, path)
    body = full_example(schema) if schema else None
    if schema:
        validate(body, schema)
    response = await send(sandbox, method, path, body)
    if "307" in operation(method, path)["responses"]:
        assert response.status_code == 307
        return
    assert response.status_code == 200, response.text
    validate(response.json(), schema_of(operation(method, path)["responses"]["200"]))


@every_route
async def test_smallest_body_is_accepted(sandbox: Sandbox, method: str, path: str) -> None:
    schema = request_schema(method, path)
    if schema is None:
        assert method != "PUT"
        return
    name_of_shape = schema["$ref"].rpartition("/")[2]
    shape = SCHEMAS[name_of_shape]
    required = {*shape.get("required", ()), *NEEDED.get(name_of_shape, ())}
    body = {name: full_example(schema)[name] for name in required}
    nulls = {
        name: None
        for name, field in shape["properties"].items()
        if "null" in field.get("type", ()) and name not in body
    }
    assert (await send(sandbox, method, path, body)).status_code == 200
    assert (await send(sandbox, method, path, body | nulls)).status_code == (
        409 if path.endswith("/secrets") else 200
    )


def test_every_route_is_in_the_contract() -> None:
    documented = {
        (method.upper(), path) for path, methods in CONTRACT["paths"].items() for method in methods
    }
    assert set(ROUTES) <= documented


@every_route
def test_query_parameters_are_those_of_the_contract(method: str, path: str) -> None:
    documented = set()
    for parameter in operation(method, path).get("parameters", []):
        name = parameter.get("$ref", "").rpartition("/")[2]
        resolved_parameter = CONTRACT["components"]["parameters"][name] if name else parameter
        if resolved_parameter["in"] == "query":
            documented.add(resolved_parameter["name"])
    assert ROUTES[method, path][1] == documented


def test_fields_of_bodies_are_those_of_the_contract() -> None:
    for name, fields in SHAPES.items():
        assert set(fields) == set(SCHEMAS[name]["properties"])
        required = {field for field, (_, is_required) in fields.items() if is_required}
        assert required == set(SCHEMAS[name].get("required", ()))
    modes = SCHEMAS["SessionCreateRequest"]["properties"]["devin_mode"]["enum"]
    assert {*CHOICES["devin_mode"], None} == set(modes)
    assert list(CHOICES["type"]) == SCHEMAS["SecretCreateRequest"]["properties"]["type"]["enum"]
    assert list(CHOICES["agent"]) == SCHEMAS["ScheduleAgent"]["enum"]
    assert list(CHOICES["schedule_type"]) == SCHEMAS["ScheduleType"]["enum"]
    assert set(CHOICES["notify_on"]) == set(SCHEMAS["NotifyOn"]["enum"])


async def test_problem_is_valid_for_the_contract(sandbox: Sandbox) -> None:
    async with v3_client(sandbox) as client:
        await start(client, "sandbox:problem-json")
        for path, status in (("/sessions?first=0", 422), ("/playbooks/playbook-x", 404)):
            response = await client.get(ORGANIZATION + path)
            problem = response.json()
            assert response.headers["content-type"] == "application/problem+json"
            validate(problem, SCHEMAS["ProblemDetail"])
            assert (problem["status"], bool(problem.get("errors"))) == (status, status == 422)
