"""The declared schemas of all tools, read from a file that is generated from the operations.

To generate them at the start takes pydantic a tenth of it. A test compares the file with the
operations; `UPDATE_SNAPSHOTS=1 pytest tests/conventions` writes it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from devin_mcp.operations import OPERATIONS, Operation
from devin_mcp.server.schema import Schema, declared_output_schema, parameters_schema, result_model

FILE = Path(__file__).with_name("tool_schemas.json")


def declared_schemas(operation: Operation[Any, Any]) -> dict[str, Schema]:
    """Its `input`, and its `output` where it has one. Those of an operation that is not in the file
    yet are generated.
    """
    if operation in OPERATIONS and operation.operation_id in _in_file():
        return _in_file()[operation.operation_id]
    return generated_schemas(operation)


def generated_schemas(operation: Operation[Any, Any]) -> dict[str, Schema]:
    """The same, from the declaration."""
    schemas = {"input": parameters_schema(operation.function)}
    if operation.structured:
        schemas["output"] = declared_output_schema(result_model(operation.function))
    return schemas


def text_of_file() -> str:
    """What the file must contain."""
    schemas = {operation.operation_id: generated_schemas(operation) for operation in OPERATIONS}
    return json.dumps(schemas, indent=1) + "\n"


@lru_cache(maxsize=1)
def _in_file() -> dict[str, dict[str, Schema]]:
    schemas: dict[str, dict[str, Schema]] = json.loads(FILE.read_bytes()) if FILE.exists() else {}
    return schemas
