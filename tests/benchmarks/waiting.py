"""`python -m tests.benchmarks.waiting`: requests and processor time of waiting calls, on both APIs.

Sessions that never end are waited for over stdio in real time, by 1 to 200 calls at once. Requests
are counted where they arrive. In a round, each session is read once: v1 takes a request for each,
the Organization API one for all. Processor time is the server's own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from devin_mcp.keys import DevinApi
from tests.e2e.processes import Process, start_process
from tests.upstream import KEYS, ReceivedRequest, Upstream, start_upstream

SESSIONS = 16
SECONDS = 45
SETTLING_SECONDS = 13.0
"""Until every session was read three times and none a fourth time; only then are rounds counted.
The second round finds that the session has begun, so up to the third one messages are read, too.
"""
CASES = ((1, 1), (SESSIONS, 1), (SESSIONS, 16), (SESSIONS, 200))
"""Sessions and calls that wait for all of them."""


@dataclass(frozen=True)
class Measurement:
    """What a number of waiting calls cost."""

    requests: int
    requests_per_round: float
    cpu_ms: float


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def client(
    server: Process, name: str, ids: int = 1, within: float = 20, **arguments: object
) -> list[dict[str, object]]:
    """The same call so many times side by side."""
    for number in range(ids):
        server.send(
            id=number, method="tools/call", params={"name": f"devin_{name}", "arguments": arguments}
        )
    answers: list[dict[str, object]] = []
    while len(answers) < ids:
        answers.append((await server.read_message(within=within))["result"]["structuredContent"])
    return answers


def sessions_read(request: ReceivedRequest) -> int:
    """How many sessions a request reads; none if it reads messages."""
    if request.path.endswith("/messages"):
        return 0
    return len(parse_qs(request.query).get("session_ids", ["the one in the path"]))


def requests_per_round(requests: Sequence[ReceivedRequest], sessions: int) -> float:
    """Requests for each time that all sessions were read."""
    return len(requests) * sessions / sum(sessions_read(request) for request in requests)


async def measure(
    upstream: Upstream, api: DevinApi, sessions: int, waiters: int, seconds: float
) -> Measurement:
    """Wait for the sessions with so many calls at once."""
    upstream.organization.sessions.clear()
    async with start_process(
        "--log-level", "error", DEVIN_API_KEY=KEYS[api], DEVIN_BASE_URL=upstream.url
    ) as server:
        await server.initialize()
        session_ids = [
            (await client(server, "create_session", prompt="sandbox:forever"))[0]["session_id"]
            for _ in range(sessions)
        ]
        before, spent = len(upstream.requests), cpu_ms(server.process.pid)
        waiting = asyncio.ensure_future(
            client(
                server,
                "wait_for_sessions",
                waiters,
                within=seconds + 20,
                session_ids=session_ids,
                max_wait_s=seconds,
            )
        )
        await asyncio.sleep(SETTLING_SECONDS)
        settled = len(upstream.requests)
        assert all(answer["timed_out"] for answer in await waiting)
        measurement = Measurement(
            len(upstream.requests) - before,
            requests_per_round(upstream.requests[settled:], sessions),
            cpu_ms(server.process.pid) - spent,
        )
        await server.wait_for_exit()
    return measurement


async def compare(seconds: float) -> None:
    print(f"{seconds:g} s, Python {sys.version.split()[0]}, {os.cpu_count()} cores, stdio")
    print(
        f"{'API':<5}{'sessions':>9}{'waiters':>9}{'requests':>10}{'a round':>9}"
        f"{'a session and minute':>22}{'cpu ms':>9}{'a waiter':>10}{'a session and second':>22}"
    )
    async with start_upstream() as upstream:
        upstream.sandbox.parallel = upstream.organization.parallel = SESSIONS
        for api in KEYS:
            counts = []
            for sessions, waiters in CASES:
                measured = await measure(upstream, api, sessions, waiters, seconds)
                each = measured.requests / sessions * 60 / seconds
                print(
                    f"{api:<5}{sessions:>9}{waiters:>9}{measured.requests:>10}"
                    f"{measured.requests_per_round:>9.1f}{each:>22.1f}{measured.cpu_ms:>9.0f}"
                    f"{measured.cpu_ms / waiters:>10.1f}"
                    f"{measured.cpu_ms / sessions / seconds:>22.2f}",
                    flush=True,
                )
                if sessions == SESSIONS:
                    counts.append(measured.requests)
            assert max(counts) <= min(counts) + SESSIONS, "more waiters must not cost more requests"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.waiting", description=__doc__)
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help="how long each call waits (default %(default)s)",
    )
    asyncio.run(compare(parser.parse_args().seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
