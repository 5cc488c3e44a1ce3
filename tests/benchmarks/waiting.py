"""`python -m tests.benchmarks.waiting`: requests and processor time of 1 to 200 waiting calls.

Sixteen sessions that never end, waited for over stdio for half a minute, in real time. Requests are
counted where they arrive; processor time is the server's own.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.e2e.processes import Process, start_process
from tests.upstream import KEY, Upstream, start_upstream

SESSIONS = 16
SECONDS = 30
WAITERS = (1, 16, 200)


def cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def client(
    server: Process, name: str, ids: int = 1, **arguments: object
) -> list[dict[str, object]]:
    """The same call so many times side by side."""
    for number in range(ids):
        server.send(
            id=number, method="tools/call", params={"name": f"devin_{name}", "arguments": arguments}
        )
    answers: list[dict[str, object]] = []
    while len(answers) < ids:
        answers.append(
            (await server.read_message(within=SECONDS + 20))["result"]["structuredContent"]
        )
    return answers


async def waits(upstream: Upstream, waiters: int) -> tuple[int, float]:
    """Requests and processor milliseconds for so many waiters on the same sessions."""
    upstream.organization.sessions.clear()
    async with start_process(
        "--log-level", "error", DEVIN_API_KEY=KEY, DEVIN_BASE_URL=upstream.url
    ) as server:
        await server.initialize()
        session_ids = [
            (await client(server, "create_session", prompt="sandbox:forever"))[0]["session_id"]
            for _ in range(SESSIONS)
        ]
        before, spent = len(upstream.requests), cpu_ms(server.process.pid)
        answers = await client(
            server, "wait_for_sessions", waiters, session_ids=session_ids, max_wait_s=SECONDS
        )
        assert all(answer["timed_out"] for answer in answers)
        requests, took = len(upstream.requests) - before, cpu_ms(server.process.pid) - spent
        await server.wait_for_exit()
    return requests, took


async def main() -> int:
    print(
        f"{SESSIONS} sessions, {SECONDS} s, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores, stdio"
    )
    print(
        f"{'waiters':>8}{'requests':>10}{'a session and minute':>22}{'cpu ms':>9}{'a waiter':>10}"
        f"{'a session and second':>22}"
    )
    async with start_upstream() as upstream:
        upstream.sandbox.parallel = upstream.organization.parallel = SESSIONS
        counts = []
        for waiters in WAITERS:
            requests, took = await waits(upstream, waiters)
            counts.append(requests)
            each = requests / SESSIONS * 60 / SECONDS
            print(
                f"{waiters:>8}{requests:>10}{each:>22.1f}{took:>9.0f}{took / waiters:>10.1f}"
                f"{took / SESSIONS / SECONDS:>22.2f}"
            )
    assert max(counts) <= min(counts) + SESSIONS, "more waiters must not cost more requests"
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
