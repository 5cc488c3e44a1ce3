"""The page about schedules: its calls work, and its numbers are those of the code."""

from __future__ import annotations

import json
import re

import pytest

from devin_mcp.operations.schedules.run_times import NEXT_RUNS
from tests.conftest import Connect
from tests.docs.pages import SCHEDULES
from tests.upstream import Upstream

pytestmark = pytest.mark.one_api("v3", reason="v1 has no schedules.")

TEXT = SCHEDULES.read_text()
CALLS = re.findall(r"^devin_([a-z_]+) +(\{.*\})$", TEXT, re.MULTILINE)


async def test_calls_of_the_page_work(connect: Connect, upstream: Upstream) -> None:
    (known_id,) = list(upstream.organization.schedules)[:1]
    async with connect(toolsets="default,schedules") as client:
        results = [
            await client.ok(tool, **json.loads(arguments.replace("sched-1a2b", known_id)))
            for tool, arguments in CALLS
        ]
    assert [tool for tool, _ in CALLS].count("create_schedule") == 2
    nightly = results[1]
    assert f"`{nightly['runs']}`" in TEXT
    assert len(nightly["next_runs"]) == NEXT_RUNS
    assert "the next three runs" in TEXT
