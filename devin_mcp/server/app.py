"""What lives as long as the server: the connection to Devin, its key, the house rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from devin_mcp.api.client import Api
from devin_mcp.operations.house import House


@dataclass(frozen=True)
class App:
    """The lifespan's state, one per process."""

    api: Api
    key: str = field(repr=False)
    house: House
    result_limit: int
