"""`python -m tests.benchmarks.load`: many callers with their own keys, for a minute.

The clients are plain sockets that send prepared bytes, and Devin is a recording of the sandbox, so
that most of what is measured is the server, `devin-mcp http`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.raw_http import read_answer, request, run

SESSION = "devin-" + "0" * 32
ROUTES = ("sessions", "sessions/", "playbooks", "knowledge", "secrets")
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("devin_list_playbooks", {}),
    ("devin_list_sessions", {}),
    ("devin_get_session", {"session_id": SESSION}),
    ("devin_list_knowledge", {"search": "test"}),
    ("devin_get_session", {"session_id": SESSION}),
    ("devin_list_secrets", {}),
]


@dataclass
class Measurements:
    """Response times and outcomes of all calls."""

    times: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


async def caller(port: int, number: int, until: float, measured: Measurements) -> None:
    key = f"apk_user_load_{number:06}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)

    turn = number
    while time.monotonic() < until:
        tool, arguments = CALLS[turn % len(CALLS)]
        started_at = time.perf_counter()
        writer.write(request(tool, arguments, x_devin_api_key=key))
        status, body = await read_answer(reader)
        measured.times.append(time.perf_counter() - started_at)
        is_ok = status == 200 and b'"isError":true' not in body
        measured.outcomes["ok" if is_ok else f"{status} {body[:120]!r}"] += 1
        turn += 1
    writer.close()


@dataclass
class Usage:
    """Of a process, from the operating system."""

    rss_mb: float
    descriptors: int
    processor_seconds: float

    @classmethod
    def of(cls, process: int) -> Usage:
        status = Path(f"/proc/{process}/status").read_text()
        rss = (
            int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
            / 1024
        )
        stat = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = int(stat[11]) + int(stat[12])
        descriptors = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
        return cls(rss, descriptors, ticks / os.sysconf("SC_CLK_TCK"))


def started(*words: str, **variables: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("DEVIN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "devin_mcp", *words],
        env=plain | variables,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    line: dict[str, Any] = json.loads(process.stderr.readline())
    return process, line


def record() -> dict[str, str]:
    """What a sandbox with one session answers to each of the routes that are called."""
    sandbox, at = started("sandbox", "--port", "0", "--log-format", "json")
    try:
        with httpx.Client(base_url=at["url"], headers={"authorization": "Bearer apk_load"}) as web:
            created = web.post("/v1/sessions", json={"prompt": "sandbox:quick"}).json()
            bodies = {
                f"GET /v1/{route}": web.get(
                    f"/v1/{route}{created['session_id'] if route.endswith('/') else ''}"
                )
                .raise_for_status()
                .text
                for route in ROUTES
            }
    finally:
        sandbox.terminate()
        sandbox.wait(20)
    return {route: body.replace(created["session_id"], SESSION) for route, body in bodies.items()}


@contextmanager
def recorded_devin() -> Iterator[str]:
    """The address of a process that answers what was recorded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.recorded_upstream"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(record()) + "\n")
        process.stdin.flush()
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(20)


async def measure(callers: int, seconds: float, devin: str) -> int:
    server, serving = started(
        *("http", "--port", "0", "--auth", "caller-key", "--log-format", "json"),
        DEVIN_BASE_URL=devin,
    )
    drained = asyncio.get_running_loop().run_in_executor(
        None, lambda: server.stderr and server.stderr.read()
    )
    port = int(serving["url"].split(":")[2].split("/")[0])
    measured, usages = Measurements(), list[Usage]()
    until = time.monotonic() + seconds
    crowd = asyncio.gather(*(caller(port, number, until, measured) for number in range(callers)))
    while not crowd.done():
        await asyncio.wait({crowd}, timeout=seconds / 12)
        usages.append(Usage.of(server.pid))
    await crowd
    await asyncio.sleep(1)
    usages.append(Usage.of(server.pid))
    server.terminate()
    status = await asyncio.to_thread(server.wait, 20)
    log = await drained or ""
    report(callers, seconds, measured, usages, status, log)
    return 0 if set(measured.outcomes) == {"ok"} else 1


def report(
    callers: int, seconds: float, measured: Measurements, usages: list[Usage], status: int, log: str
) -> None:
    cuts = statistics.quantiles(measured.times, n=100)
    third = usages[len(usages) // 3]
    print(
        f"{callers} callers for {seconds:g} s, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores for server, Devin and clients"
    )
    print(f"calls            {len(measured.times)} ({len(measured.times) / seconds:.0f}/s)")
    print(f"errors           {sum(measured.outcomes.values()) - measured.outcomes['ok']}")
    print(
        f"p50, p95, p99    {cuts[49] * 1000:.0f}, {cuts[94] * 1000:.0f}, {cuts[98] * 1000:.0f} ms"
    )
    print(
        f"memory           {usages[0].rss_mb:.0f} MB at first, {third.rss_mb:.0f} after a third, "
        f"{usages[-1].rss_mb:.0f} at the end"
    )
    print(
        f"descriptors      {max(usage.descriptors for usage in usages)} at most, "
        f"{usages[-1].descriptors} at the end"
    )
    share = (usages[-1].processor_seconds - usages[0].processor_seconds) / seconds
    print(f"processor        {share * 100:.0f} % of a core")
    print(f"end              exit status {status}, {log.count('Traceback')} tracebacks")
    for outcome, count in measured.outcomes.most_common(6):
        print(f"  {count:>7} {outcome}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--callers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with recorded_devin() as devin:
        return run(measure(options.callers, options.seconds, devin))


if __name__ == "__main__":
    sys.exit(main())
