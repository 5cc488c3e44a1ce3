"""Operations, parameters and permissions against the contracts of both APIs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from devin_mcp.api.endpoint import Endpoint, HasEndpoints, endpoint_for
from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import Operation
from tests.conventions.test_schemas import TOOLS
from tests.endpoints import LOOKUPS

DIRECTORY = Path(__file__).parent
CONTRACTS: dict[DevinApi, dict[str, Any]] = {
    api: yaml.safe_load((DIRECTORY / f"{api}.openapi.yaml").read_text()) for api in ("v1", "v3")
}
NOT_SERVED = {
    "get_consumption": "comes with its own tool",
    "get_session_consumption": "comes with its own tool",
    "append_session_tags": "update_session_tags reads, merges and replaces: it can remove as well",
    "archive_session": "comes with its own tool",
    "generate_session_insights": "comes with its own tool",
    "get_session_insights": "comes with its own tool",
    "get_session_tags": "the session has them",
    "list_session_attachments": "comes with its own tool",
    "list_session_insights": "comes with its own tool",
    "unarchive_session": "comes with its own tool",
}
"""Operations of v3 that no tool uses, each with its reason; schedules, repositories and members,
whose toolsets do not exist yet, are left out by their tags.
"""
UNSERVED_TAGS = {"schedules", "repositories", "users"}

OUR_PARAMETERS = {
    "after_event_id": "the conversation is read on from a message",
    "attachment_urls": "become ATTACHMENT lines of the message on v1",
    "body": "how much of each body a list shows",
    "clear": "fields are emptied by name",
    "content": "a file can be passed inline",
    "cursor": "lists and waits continue",
    "encoding": "of content",
    "folder_id": "filters the list; v3 does it by the folder's path",
    "from_char": "a long text is read in parts",
    "how": "tags are replaced, added or removed",
    "limit": "first on v3",
    "max_wait_s": "a call can wait",
    "messages": "the number of messages",
    "name": "of a file",
    "note_ids": "filters the list here",
    "path": "a local file",
    "phase": "filters the list here",
    "save_to": "a local file",
    "search": "filters the list here on v1",
    "url": "of an attachment, instead of its parts",
    "user_email": "v3 filters by user ids, which are looked up",
    "value_from_env": "a value that no model sees",
}
"""Parameters that Devin does not have, each with its reason."""
RENAMED: dict[DevinApi, dict[str, str]] = {
    "v1": {"trigger_description": "trigger", "parent_folder_id": "folder_id"},
    "v3": {
        "devin_id": "session_id",
        "devin_mode": "mode",
        "folder_path": "folder_id",
        "is_archived": "archived",
        "is_enabled": "enabled",
        "is_sensitive": "sensitive",
        "repo_names": "repository",
        "repos": "repositories",
        "user_ids": "user_email",
    },
}
"""Devin's name -> ours: v3's names without their prefixes, on both APIs."""
LEFT_OUT = {
    "bypass_approval": "would let an assistant skip a person's approval",
    "child_playbook_id": "for sessions that start sessions",
    "create_as_user_id": "would act in another person's name",
    "message_as_user_id": "would act in another person's name",
    "platform": "machines are set up in the web app",
    "session_links": "links in the prompt do the same",
    "structured_output_required": "a schema that is given is filled",
}
"""Fields of v3's bodies that no tool has, each with its reason (docs/migrating.md)."""
LIST_FILTERS = {
    "after",
    "automation_ids",
    "category",
    "created_after",
    "created_before",
    "first",
    "offset",
    "origins",
    "parent_session_id",
    "playbook_id",
    "qs",
    "schedule_id",
    "service_user_ids",
    "session_ids",
    "skip",
    "updated_after",
    "updated_before",
}
"""Query parameters that are paging, or filters that no tool has yet."""
HAVE_DEFAULT = {"value", "sensitive", "note"}
"""Required by Devin; here they have a default or an alternative."""


def documented(endpoint: Endpoint) -> Mapping[str, Any]:
    """The operation of the contract. v3's paths name their ids differently."""
    wanted = re.sub(r"\{\w+\}", "{}", endpoint.template)
    for path, methods in CONTRACTS[endpoint.api]["paths"].items():
        if re.sub(r"\{\w+\}", "{}", path) == wanted and endpoint.method.lower() in methods:
            operation: Mapping[str, Any] = methods[endpoint.method.lower()]
            return operation
    raise LookupError(f"{endpoint.route} is not in the contract of {endpoint.api}")


def query_names(endpoint: Endpoint) -> set[str]:
    parameters = documented(endpoint).get("parameters", [])
    components = CONTRACTS[endpoint.api].get("components", {}).get("parameters", {})
    return {
        parameter.get("name") or components[parameter["$ref"].rsplit("/", 1)[1]]["name"]
        for parameter in parameters
    }


def resolved(api: DevinApi, schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = CONTRACTS[api]["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


DECLARED: tuple[HasEndpoints, ...] = (*OPERATIONS, *LOOKUPS)
ENDPOINTS = [
    endpoint
    for operation in DECLARED
    for endpoint in (operation.v1, operation.v3)
    if endpoint is not None
]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.route)
def test_route_and_its_query_are_in_the_contract(endpoint: Endpoint) -> None:
    assert set(endpoint.query) <= query_names(endpoint)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.route)
def test_permission_is_that_of_the_contract(endpoint: Endpoint) -> None:
    """The reference prints the account's names for notes and playbooks (v3-additions.md §2)."""
    printed = documented(endpoint).get("x-permission", "")
    words = re.findall(r"\b(?:View|Manage|Use)\w+", printed)
    if endpoint.api == "v3" and words:
        assert words[0] in endpoint.permission


def test_every_operation_of_v1_is_a_tool() -> None:
    names = {
        operation["operationId"]
        for methods in CONTRACTS["v1"]["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    }
    assert {operation.operation_id for operation in OPERATIONS if operation.v1} == names


def test_every_operation_of_v3_is_used_or_has_a_reason() -> None:
    served = {endpoint.route for endpoint in ENDPOINTS if endpoint.api == "v3"}
    served = {re.sub(r"\{\w+\}", "{}", route) for route in served}
    unused = {
        operation["operationId"]
        for path, methods in CONTRACTS["v3"]["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
        and re.sub(r"\{\w+\}", "{}", f"{method.upper()} {path}") not in served
        and not UNSERVED_TAGS & {tag.lower() for tag in operation.get("tags", [])}
    }
    assert unused == set(NOT_SERVED)


TOOL_ENDPOINTS = [
    pytest.param(operation, endpoint, id=f"{api}-{operation.operation_id}")
    for operation in OPERATIONS
    for api in CONTRACTS
    if (endpoint := endpoint_for(operation, api)) is not None
]


@pytest.mark.parametrize(("operation", "endpoint"), TOOL_ENDPOINTS)
def test_parameters_have_the_names_of_the_contract(
    operation: Operation[Any, Any], endpoint: Endpoint
) -> None:
    contract, renamed = documented(endpoint), RENAMED[endpoint.api]
    schema = TOOLS[endpoint.api][operation.tool_name]["inputSchema"]
    names, required = set(schema["properties"]), set(schema.get("required", []))
    media = contract.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = resolved(endpoint.api, media["schema"]) if media else {"properties": {}}

    def ours(documented_names: Iterable[str]) -> set[str]:
        return {renamed.get(name, name) for name in documented_names}

    fields = ours(set(body["properties"]) - set(LEFT_OUT))
    assert fields <= names, "a documented field is missing"
    if not operation.operation_id.startswith("update_") or "tags" in names:
        assert ours(body.get("required", [])) - HAVE_DEFAULT <= required
    query = ours(query_names(endpoint) - LIST_FILTERS)
    places = ours(re.findall(r"\{(\w+)\}", endpoint.template)) - {"org_id"}
    assert query | places <= names
    assert names - fields - query - places <= OUR_PARAMETERS.keys(), (
        "a parameter that Devin does not have needs a reason here"
    )
