"""Arguments that a model might write: every call is answered, without a crash or a leak."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mcp import MCPError

from devin_mcp.keys import DevinApi
from devin_mcp.operations.capabilities import API_CAPABILITIES
from devin_mcp.operations.parameters import is_blank
from devin_mcp.server.tools import published_tools
from devin_mcp.server.visibility import visible_tools
from devin_mcp.settings import resolve
from tests.conftest import Connect, Era, Logs, ToolClient, text_of
from tests.e2e.processes import start_http_process
from tests.http_client import connect_over_http
from tests.upstream import KEYS, Upstream

Arguments = dict[str, Any]

ALL_TOOLS = visible_tools(resolve({"toolsets": ["all"]}, {}), "http")
SCHEMAS_BY_API: dict[DevinApi, dict[str, Any]] = {
    api: {tool["name"]: tool["inputSchema"] for tool in published_tools(ALL_TOOLS.of_api(api))}
    for api in API_CAPABILITIES
}
SCHEMAS = SCHEMAS_BY_API["v3"] | SCHEMAS_BY_API["v1"]
API_OF: dict[str, DevinApi] = {
    tool: "v1" if tool in SCHEMAS_BY_API["v1"] else "v3" for tool in SCHEMAS
}
"""Tool -> the API that it is called on: v1 if that has it."""
CALLER_KEYS: dict[DevinApi, str] = {"v1": "apk_user_hostile_1", "v3": "cog_sandbox_hostile_1"}
EXAMPLES = 50
EXAMPLES_OVER_HTTP = 5
FOREIGN = "FOREIGNMARK"
"""In every object of another caller's organization; no answer to this caller may have it."""
ID_ARGUMENTS = {
    "session_id",
    "note_id",
    "playbook_id",
    "secret_id",
    "schedule_id",
    "folder_id",
    "uuid",
    "snapshot_id",
}
INVALID_IDS = [
    "../secrets/secret-0001",
    "..",
    ".",
    "%2e%2e",
    "..%2fsecrets",
    "devin-1/../../secrets",
    "devin-1?x=1",
    "devin-1#x",
    "a b",
    "\u202e",
    "a" * 5000,
    "",
    "devin-1\nx",
    "\x00",
    "http://evil.example/",
    "devin://sessions/x",
    "..\\secrets",
    ";rm",
    "\uff44\uff45\uff56",
]


async def test_invalid_id_is_refused_before_any_request(
    connect: Connect, upstream: Upstream, era: Era
) -> None:
    places = [
        (name, argument)
        for name, schema in SCHEMAS.items()
        for argument in sorted(ID_ARGUMENTS & set(schema["properties"]))
        if name != "devin_get_playbook"  # takes names, too
    ]
    assert len(places) > 10
    required = {"name": "n", "title": "t", "body": "b", "message": "m", "prompt": "p", "tags": []}
    async with AsyncExitStack() as stack:
        clients = {
            api: await stack.enter_async_context(
                connect(era=era, transport="http", toolsets="all", DEVIN_API_KEY=key)
            )
            for api, key in KEYS.items()
        }
        for name, argument in places:
            client = clients[API_OF[name]]
            properties = SCHEMAS[name]["properties"]
            others = {key: value for key, value in required.items() if key in properties}
            is_required = argument in SCHEMAS[name].get("required", [])
            for text in INVALID_IDS:
                if is_blank(text) and not is_required:
                    continue  # counts as absent
                result = await client(name.removeprefix("devin_"), **(others | {argument: text}))
                assert result.is_error, (name, argument, text)
                assert "does not know" not in text_of(result), "Devin was asked"
                assert "exists on" not in text_of(result), "the tool was not called"
        for text in INVALID_IDS:
            with pytest.raises((MCPError, ValueError)):
                await clients["v1"].sdk.read_resource(f"devin://sessions/{text}")
    assert upstream.requests == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)


def valid_for(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a published schema allows (see test_schemas for what it can consist of)."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            required, parts = (
                schema.get("required", []),
                {name: valid_for(part) for name, part in schema["properties"].items()},
            )
            return st.fixed_dictionaries(
                {name: parts[name] for name in required},
                optional={name: part for name, part in parts.items() if name not in required},
            )
        case "object":
            return st.dictionaries(st.text(max_size=10), ANYTHING, max_size=4)
        case "array":
            return st.lists(
                valid_for(schema["items"]),
                min_size=schema.get("minItems", 0),
                max_size=schema.get("maxItems", 60),
            )
        case "integer":
            return st.integers(schema.get("minimum", -5), schema.get("maximum"))
        case "boolean":
            return st.booleans()
    return st.text(max_size=60) | st.from_regex(r"\A[a-z]+-[0-9a-f]{1,32}\Z")


def arguments_for(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Valid arguments, arguments with valid names and any values, and arguments with any names."""
    named = st.dictionaries(
        st.sampled_from([*schema["properties"], "nonsense"]), ANYTHING, max_size=6
    )
    return st.one_of(
        valid_for(schema), named, st.dictionaries(st.text(max_size=12), ANYTHING, max_size=3)
    )


def writable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def examples_for(schema: dict[str, Any], count: int) -> list[Arguments]:
    """The same examples in every run."""
    examples: list[Arguments] = []

    @settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(arguments_for(schema).filter(writable))
    def collect(arguments: Arguments) -> None:
        examples.append(arguments)

    collect()
    assert len(examples) >= count * 0.8
    return examples


async def create_foreign_objects(client: ToolClient) -> None:
    text = FOREIGN
    await client.ok("create_session", prompt=text, title=text, tags=[text])
    await client.ok("create_playbook", title=text, body=text)
    await client.ok("create_knowledge", name=text, body=text, trigger=text)


async def call_with_each(client: ToolClient, tool: str, examples: Sequence[Arguments]) -> None:
    for arguments in examples:
        text = str(await client.sdk.call_tool(tool, arguments))
        for word in ("bug in it", FOREIGN, "Traceback"):
            assert word not in text, (tool, arguments)


@pytest.mark.parametrize("tool", SCHEMAS)
async def test_any_arguments_get_an_answer(connect: Connect, tool: str, logs: Logs) -> None:
    """Fifty examples per tool in each era, in memory: more than two thousand calls."""
    examples = examples_for(SCHEMAS[tool], EXAMPLES)
    async with connect(DEVIN_API_KEY="apk_user_foreign_2") as client:
        await create_foreign_objects(client)
    eras: tuple[Era, Era] = ("auto", "legacy")
    for era in eras:
        async with connect(
            era=era,
            transport="http",
            max_sessions=10_000,
            toolsets="all",
            DEVIN_API_KEY=KEYS[API_OF[tool]],
        ) as client:
            await call_with_each(client, tool, examples)
    assert not [line for line in logs() if line["event"] == "crash"]


async def test_any_arguments_over_http_get_an_answer(era: Era) -> None:
    flags = ("--sandbox", "--auth", "caller-key", "--max-sessions", "10000", "--toolsets", "all")
    async with start_http_process(*flags) as (server, url):
        async with connect_over_http(url, {"X-Devin-Api-Key": "apk_user_foreign_2"}) as client:
            await create_foreign_objects(client)
        for api, key in CALLER_KEYS.items():
            async with connect_over_http(url, {"X-Devin-Api-Key": key}, era=era) as client:
                for tool in (tool for tool in SCHEMAS if API_OF[tool] == api):
                    examples = examples_for(SCHEMAS[tool], EXAMPLES_OVER_HTTP)
                    for arguments in examples:  # this server's time is real
                        if isinstance(arguments.get("max_wait_s"), int):
                            arguments["max_wait_s"] = min(arguments["max_wait_s"], 1)
                    await call_with_each(client, tool, examples)
        server.process.terminate()
        assert await server.wait_for_exit(close=False) == 0
    assert b"Traceback" not in server.stderr
