"""Operations, parameters and permissions against the contracts of both APIs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from devin_mcp.api.endpoint import Endpoint, HasEndpoints, endpoint_for
from devin_mcp.keys import DevinApi
from devin_mcp.operations import OPERATIONS
from devin_mcp.operations.catalog import Operation
from devin_mcp.sandbox import v1
from devin_mcp.sandbox.v3 import app
from tests.conventions.test_schemas import TOOLS
from tests.endpoints import LOOKUPS

DIRECTORY = Path(__file__).parent
CONTRACTS: dict[DevinApi, dict[str, Any]] = {
    api: yaml.safe_load((DIRECTORY / f"{api}.openapi.yaml").read_text()) for api in ("v1", "v3")
}
DONE_BY = {
    "append_session_tags": "devin_update_session_tags",
    "get_session_tags": "devin_get_session",
}
"""Operations of v3 without a tool of their own -> the tool that does the same."""

OUR_PARAMETERS = {
    "after_event_id": "the conversation is read on from a message",
    "archived": "false sends unarchive_session",
    "attachment_urls": "become ATTACHMENT lines of the message on v1",
    "body": "how much of each body a list shows",
    "clear": "fields are emptied by name",
    "content": "a file can be passed inline",
    "cursor": "lists and waits continue",
    "encoding": "of content",
    "folder_id": "filters the list; v3 does it by the folder's path",
    "from_char": "a long text is read in parts",
    "generate": "true sends generate_session_insights first",
    "how": "tags are replaced, added or removed",
    "limit": "first on v3",
    "max_wait_s": "a call can wait",
    "messages": "the number of messages",
    "name": "of a file",
    "note_ids": "filters the list here",
    "path": "a local file",
    "phase": "filters the list here",
    "save_to": "a local file",
    "schedule_id": "one record of a list, with its whole prompt",
    "search": "filters the list here on v1",
    "session_id": "get_usage has a route of its own for one session",
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
        "filter_name": "name",
        "folder_path": "folder_id",
        "is_archived": "archived",
        "is_enabled": "enabled",
        "is_sensitive": "sensitive",
        "repo_names": "repository",
        "repos": "repositories",
        "time_after": "first_day",
        "time_before": "last_day",
        "user_ids": "user_email",
    },
}
"""Devin's name -> ours: v3's names without their prefixes, on both APIs."""
LEFT_OUT = {
    "agent": "Devin is the agent of this server",
    "bypass_approval": "would let an assistant skip a person's approval",
    "child_playbook_id": "for sessions that start sessions",
    "create_as_user_id": "would act in another person's name",
    "interval_count": "skips times; the cron expression says how often",
    "message_as_user_id": "would act in another person's name",
    "notify_on": "mail is set up in the web app; Devin's default is mail about failures",
    "platform": "machines are set up in the web app",
    "run_as_user_id": "would act in another person's name",
    "schedule_type": "follows from frequency or scheduled_at",
    "session_links": "links in the prompt do the same",
    "slack_channel_id": "Slack is set up in the web app",
    "slack_team_id": "Slack is set up in the web app",
    "target_devin_id": "a session gets messages from devin_send_message",
    "structured_output_required": "a schema that is given is filled",
}
"""Fields of v3's bodies that no tool has, each with its reason (docs/migrating.md)."""
LIST_FILTERS = {
    "after",
    "automation_ids",
    "category",
    "created_after",
    "created_before",
    "exclude_repo_paths",
    "first",
    "load_indexing_status",
    "offset",
    "only_repo_paths",
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


SANDBOX_ROUTES: dict[DevinApi, tuple[str, Collection[tuple[str, str]]]] = {
    "v1": ("devin_mcp/sandbox/v1.py", v1.ROUTES),
    "v3": ("devin_mcp/sandbox/v3/app.py", app.ROUTES),
}


def _without_names(route: str) -> str:
    """v3's paths name their ids differently."""
    return re.sub(r"\{\w+\}", "{}", route)


def _contract_routes(api: DevinApi) -> dict[str, dict[str, Any]]:
    """Method and path of each operation of the contract -> the operation."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in CONTRACTS[api]["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def documented(endpoint: Endpoint) -> Mapping[str, Any]:
    """The operation of the contract."""
    routes = {
        _without_names(route): value for route, value in _contract_routes(endpoint.api).items()
    }
    operation = routes.get(_without_names(endpoint.route))
    file = f"{DIRECTORY.parent.name}/{DIRECTORY.name}/{endpoint.api}.openapi.yaml"
    assert operation is not None, f"the contract {file} has no {endpoint.route}"
    return operation


def query_names(endpoint: Endpoint) -> set[str]:
    components = CONTRACTS[endpoint.api].get("components", {}).get("parameters", {})
    parameters = [
        components[parameter["$ref"].rsplit("/", 1)[1]] if "$ref" in parameter else parameter
        for parameter in documented(endpoint).get("parameters", [])
    ]
    return {parameter["name"] for parameter in parameters if parameter["in"] == "query"}


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
    names = {operation["operationId"] for operation in _contract_routes("v1").values()}
    assert {operation.operation_id for operation in OPERATIONS if operation.v1} == names


def operations_without_tool() -> list[str]:
    """Operations of v3 that nothing here uses; docs/migrating.md lists them."""
    used = {_without_names(endpoint.route) for endpoint in ENDPOINTS if endpoint.api == "v3"}
    return sorted(
        operation["operationId"]
        for route, operation in _contract_routes("v3").items()
        if _without_names(route) not in used
    )


def test_every_tool_that_does_the_same_exists() -> None:
    assert DONE_BY.keys() <= set(operations_without_tool())
    assert set(DONE_BY.values()) <= set(TOOLS["v3"])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.route)
def test_sandbox_serves_the_route(endpoint: Endpoint) -> None:
    file, routes = SANDBOX_ROUTES[endpoint.api]
    served = {_without_names(f"{method} {path}") for method, path in routes}
    assert _without_names(endpoint.route) in served, f"add {endpoint.route} to ROUTES in {file}"


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
    query = ours(query_names(endpoint) - LIST_FILTERS - set(endpoint.query))
    places = ours(re.findall(r"\{(\w+)\}", endpoint.template)) - {"org_id"}
    documented_names = fields | query | places
    assert not documented_names - names, f"the contract of {endpoint.api} has these, too"
    if not operation.operation_id.startswith("update_") or "tags" in names:
        optional = ours(body.get("required", [])) - HAVE_DEFAULT - required
        assert not optional, f"the contract of {endpoint.api} requires these"
    own = names - documented_names - OUR_PARAMETERS.keys()
    assert not own, (
        f"the contract of {endpoint.api} does not have these: use its names {documented_names}, or "
        "give the reason in OUR_PARAMETERS"
    )
