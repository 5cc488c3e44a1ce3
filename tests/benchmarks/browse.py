"""`python -m tests.benchmarks.browse`: reads lists of 5,000 notes of 2 KB over stdio.

Times are of whole requests as the client sees them, without a client library's own cost. The first
list is the only one that asks Devin; a second request to it fails the run.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tests.e2e.processes import Process, start_process
from tests.upstream import KEY, start_upstream

NOTES = 5000
BODY = "What everybody should know. " * 73
TURNS = 30


async def timed(
    server: Process, method: str, params: dict[str, Any], times: int = TURNS
) -> tuple[list[float], dict[str, Any]]:
    """Milliseconds of each request, and the last answer."""
    took, result = [], {}
    for _ in range(times):
        started = time.perf_counter()
        server.send(id=1, method=method, params=params)
        result = (await server.read_message())["result"]
        took.append((time.perf_counter() - started) * 1000)
    return took, result


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    return (
        int(
            next(
                line for line in status.read_text().splitlines() if line.startswith("VmHWM")
            ).split()[1]
        )
        / 1024
    )


async def main() -> int:
    async with start_upstream() as upstream:
        upstream.organization.notes = {
            f"note-{number:05d}": {
                "id": f"note-{number:05d}",
                "name": f"Note {number:05d} on things",
                "trigger_description": f"When it is {number}",
                "body": BODY,
                "parent_folder_id": "folder-services",
                "pinned_repo": "acme/shop-api",
            }
            for number in range(NOTES)
        }
        async with start_process(
            "--log-level",
            "error",
            "--cache-ttl",
            "600",
            DEVIN_API_KEY=KEY,
            DEVIN_BASE_URL=upstream.url,
        ) as server:
            await server.initialize()
            before = memory_mb(server.process.pid)
            template = {"type": "ref/resource", "uri": "devin://knowledge/{note_id}"}
            rows: list[tuple[str, list[float]]] = []
            cold, page = await timed(server, "resources/list", {}, 1)
            rows.append(("resources/list, first page, asks Devin", cold))
            rows.append(
                ("resources/list, first page again", (await timed(server, "resources/list", {}))[0])
            )
            cursor = page["nextCursor"]
            while cursor:
                took, page = await timed(server, "resources/list", {"cursor": cursor}, 1)
                last, cursor = cursor, page.get("nextCursor")
            rows.append(
                (
                    "resources/list, last page",
                    (await timed(server, "resources/list", {"cursor": last}))[0],
                )
            )
            rows.append(
                (
                    "resources/read, one note",
                    (
                        await timed(
                            server, "resources/read", {"uri": "devin://knowledge/note-04321"}
                        )
                    )[0],
                )
            )
            rows.append(
                (
                    "resources/read, the table of all",
                    (await timed(server, "resources/read", {"uri": "devin://knowledge"}))[0],
                )
            )
            for typed in ("note-04", "things", "Note 04321"):
                asked = {"ref": template, "argument": {"name": "note_id", "value": typed}}
                rows.append(
                    (
                        f"completion of {typed!r}",
                        (await timed(server, "completion/complete", asked))[0],
                    )
                )
            after = memory_mb(server.process.pid)
            await server.wait_for_exit()
        asked_for = {
            path: upstream.count("GET", path) for path in ("/v1/knowledge", "/v1/playbooks")
        }
    print(
        f"{NOTES} notes of {len(BODY)} bytes, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores, stdio; ms"
    )
    print(f"{'':<40}{'median':>10}{'max':>10}")
    for label, took in rows:
        print(f"{label:<40}{statistics.median(took):>10.1f}{max(took):>10.1f}")
    print(
        f"peak memory {before:.0f} MB before, {after:.0f} MB after; requests to Devin: {asked_for}"
    )
    assert asked_for == {"/v1/knowledge": 1, "/v1/playbooks": 1}, "browsing must not ask again"
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
