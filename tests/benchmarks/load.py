"""`python -m tests.benchmarks.load`: many callers with their own keys, for a minute.

The clients are plain sockets that send prepared bytes, so that most of what is measured is the
server. It runs `devin-mcp http` in front of `devin-mcp sandbox`, both as processes; on two cores
all of them share those.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROTOCOL = "2026-07-28"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("devin_list_playbooks", {}),
    ("devin_list_sessions", {}),
    ("devin_get_session", {"session_id": ""}),
    ("devin_list_knowledge", {"search": "test"}),
    ("devin_get_session", {"session_id": ""}),
    ("devin_list_secrets", {}),
]


@dataclass
class Measurements:
    """Response times and outcomes of all calls."""

    times: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)


def request(tool: str, arguments: dict[str, Any], host: str = "127.0.0.1", **headers: str) -> bytes:
    """A call as the bytes of an HTTP request."""
    meta = {
        f"io.modelcontextprotocol/{name}": value
        for name, value in {
            "protocolVersion": PROTOCOL,
            "clientInfo": {"name": "load", "version": "0"},
            "clientCapabilities": {},
        }.items()
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    ).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        "accept: application/json, text/event-stream\r\n"
        f"mcp-protocol-version: {PROTOCOL}\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        f"content-length: {len(body)}\r\n"
    )
    head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head += "\r\n"
    return head.encode() + body


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(
        next(line for line in head.split("\r\n") if line.startswith("content-length:")).split(":")[
            1
        ]
    )
    body = json.loads(await reader.readexactly(length) or b"{}")
    return int(head.split(" ")[1]), body


async def caller(port: int, number: int, until: float, measured: Measurements) -> None:
    key = f"apk_user_load_{number:06}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)

    async def ask(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        writer.write(request(tool, arguments, x_devin_api_key=key))
        status, answer = await answered(reader)
        measured.times.append(time.perf_counter() - started)
        result = answer.get("result", {})
        problem = (
            ""
            if status == 200 and not result.get("isError")
            else f"{status} {json.dumps(answer)[:120]}"
        )
        measured.outcomes[problem or "ok"] += 1
        return dict(result.get("structuredContent") or {})

    session = await ask("devin_create_session", {"prompt": f"sandbox:quick {number}"})
    turn = number
    while time.monotonic() < until:
        tool, arguments = CALLS[turn % len(CALLS)]
        await ask(
            tool,
            {
                name: session.get("session_id", "devin-0")
                for name in arguments
                if name == "session_id"
            }
            or arguments,
        )
        turn += 1
    writer.close()


@dataclass
class Usage:
    """Of a process, from the operating system."""

    rss_mb: float
    descriptors: int

    @classmethod
    def of(cls, process: int) -> Usage:
        status = Path(f"/proc/{process}/status").read_text()
        rss = (
            int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
            / 1024
        )
        return cls(rss, sum(1 for _ in Path(f"/proc/{process}/fd").iterdir()))


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


async def run(callers: int, seconds: float) -> int:
    sandbox, at = started("sandbox", "--port", "0", "--log-format", "json")
    server, serving = started(
        "http",
        "--port",
        "0",
        "--auth",
        "caller-key",
        "--log-format",
        "json",
        DEVIN_BASE_URL=at["url"],
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
    sandbox.terminate()
    sandbox.wait(20)
    report(callers, seconds, measured, usages, status, log)
    return 0 if set(measured.outcomes) == {"ok"} else 1


def report(
    callers: int, seconds: float, measured: Measurements, usages: list[Usage], status: int, log: str
) -> None:
    cuts = statistics.quantiles(measured.times, n=100)
    third = usages[len(usages) // 3]
    print(
        f"{callers} callers for {seconds:g} s, Python {sys.version.split()[0]}, "
        f"{os.cpu_count()} cores for server, sandbox and clients"
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
    print(f"end              exit status {status}, {log.count('Traceback')} tracebacks")
    for outcome, count in measured.outcomes.most_common(6):
        print(f"  {count:>7} {outcome}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--callers", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    return asyncio.run(run(options.callers, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
