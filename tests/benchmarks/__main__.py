"""`python -m tests.benchmarks`: compares devin-mcp with a bare server on the same SDK.

Figures are of whole processes over stdio, spoken to in raw JSON-RPC so that no client's own cost is
in them. The bare server runs in an environment of its own, made on first use, which has mcp and
httpx and no sniffio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BARE_HOME = ROOT / ".third_party" / "bare"
IN_FLIGHT = 32
SESSION = "devin-" + "0" * 32
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "0"},
}


@dataclass
class Contestant:
    """A server to measure: how it is started and what it is asked."""

    name: str
    command: list[str]
    environment: dict[str, str]
    tool: str
    starts: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    listing: int = 0
    tools: int = 0


class Peer:
    """One server process and the raw protocol with it."""

    def __init__(self, contestant: Contestant, log: Any) -> None:
        self.process = subprocess.Popen(
            contestant.command,
            env=contestant.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=ROOT,
        )
        self._tool = contestant.tool
        self._next = 0

    def send(self, method: str, params: dict[str, Any], *, answered: bool = True) -> int:
        self._next += answered
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        if answered:
            message["id"] = self._next
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        return self._next

    def line(self) -> bytes:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server ended"
        return line

    def open(self) -> bytes:
        """The handshake and the tools; returns the raw answer of tools/list."""
        self.send("initialize", INITIALIZE)
        self.line()
        self.send("notifications/initialized", {}, answered=False)
        self.send("tools/list", {})
        return self.line()

    def client(self) -> None:
        self.send("tools/call", {"name": self._tool, "arguments": {"session_id": SESSION}})

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status")
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

    def processor_ms(self) -> float:
        """User and system time so far, from the operating system."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


def start(contestant: Contestant, log: Any) -> Peer:
    started = time.perf_counter()
    peer = Peer(contestant, log)
    listing = peer.open()
    contestant.starts.append((time.perf_counter() - started) * 1000)
    tools = json.loads(listing)["result"]["tools"]
    contestant.listing, contestant.tools = len(json.dumps(tools, separators=(",", ":"))), len(tools)
    for _ in range(30):
        peer.client()
        assert b'"isError":true' not in peer.line()
    return peer


def single_calls(contestant: Contestant, peer: Peer, count: int) -> None:
    before = peer.processor_ms()
    for _ in range(count):
        started = time.perf_counter()
        peer.client()
        peer.line()
        contestant.calls.append((time.perf_counter() - started) * 1000)
    contestant.processor.append((peer.processor_ms() - before) / count)


def burst(contestant: Contestant, peer: Peer, count: int) -> None:
    started = time.perf_counter()
    for _ in range(IN_FLIGHT):
        peer.client()
    for answered in range(count):
        peer.line()
        if answered + IN_FLIGHT < count:
            peer.client()
    contestant.rates.append(count / (time.perf_counter() - started))


@contextmanager
def start_upstream() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "upstream.py")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


def bare_python() -> str:
    """The Python of an environment with the same versions of mcp and httpx, and nothing else."""
    python = BARE_HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    names = ("mcp", "httpx", "pydantic", "anyio", "httpcore", "starlette", "uvicorn")
    expected = [f"{name}=={version(name)}" for name in names]
    expected_file = BARE_HOME / "expected.txt"
    if not expected_file.exists() or expected_file.read_text() != "\n".join(expected):
        venv.create(BARE_HOME, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *expected], check=True)
        expected_file.write_text("\n".join(expected))
    return str(python)


def table(ours: Contestant, quiet: Contestant, bare: Contestant) -> str:
    def middle(values: list[float]) -> float:
        return statistics.median(values)

    def p95(values: list[float]) -> float:
        return statistics.quantiles(values, n=20)[-1]

    rows: list[tuple[str, Callable[[list[float]], float], str, float | None, bool]] = [
        ("start to tools/list, ms", middle, "starts", 1.2, True),
        ("one call p50, ms", middle, "calls", 1.15, True),
        ("one call p95, ms", p95, "calls", None, True),
        ("processor time a call, ms", statistics.mean, "processor", None, True),
        ("calls/s, 32 in flight", middle, "rates", 1.0, False),
        ("peak memory, MB", middle, "peaks", 1.25, True),
    ]
    lines = [f"{'':<26}{'bare':>10}{'devin-mcp':>12}{'ratio':>8}{'to reach':>11}   without logging"]
    for label, figure, name, bound, low in rows:
        bare_figure, our_figure, quiet_figure = (
            float(figure(getattr(server, name))) for server in (bare, ours, quiet)
        )
        ratio = our_figure / bare_figure
        verdict = ""
        if bound is not None:
            holds = (ratio <= bound) == low or ratio == bound
            verdict = f"{'<=' if low else '>='} {bound:.2f} {'ok' if holds else 'NO'}"
        lines.append(
            f"{label:<26}{bare_figure:>10.2f}{our_figure:>12.2f}{ratio:>8.2f}{verdict:>12}"
            f"   {quiet_figure:.2f}"
        )
    lines.append(
        f"{'bytes of tools/list':<26}{bare.listing:>10}{ours.listing:>12}"
        f"   (1 tool and {ours.tools})"
    )
    json_size = (middle(ours.calls) - middle(quiet.calls)) * 1000
    lines.append(f"logging (two JSON lines a call) costs {json_size:.0f} microseconds a call")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes")
    parser.add_argument("--turns", type=int, default=8, help="turns per round")
    parser.add_argument(
        "--calls",
        type=int,
        default=40,
        help="single calls per turn; twice as many with 32 in flight",
    )
    options = parser.parse_args()
    with start_upstream() as base, Path(os.devnull).open("wb") as log:
        # Without bytecode files only an editable install would start slower.
        left_out = ("DEVIN_", "PYTHONDONTWRITEBYTECODE")
        plain = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        upstream = plain | {
            "DEVIN_BASE_URL": base,
            "DEVIN_API_KEY": "apk_bench",
            "DEVIN_MCP_LOG_FORMAT": "json",
        }
        command = [sys.executable, "-m", "devin_mcp"]
        ours = Contestant("devin-mcp", command, upstream, "devin_get_session")
        quiet = Contestant(
            "without logging",
            command,
            upstream | {"DEVIN_MCP_LOG_LEVEL": "error"},
            "devin_get_session",
        )
        bare = Contestant(
            "bare",
            [bare_python(), str(HERE / "bare.py")],
            plain | {"BARE_UPSTREAM": base},
            "get_session",
        )
        contestants = (bare, ours, quiet)
        for contestant in contestants:
            start(contestant, log).close()  # warms the caches of the file system
            contestant.starts.clear()
        for number in range(options.rounds):
            peers = [(contestant, start(contestant, log)) for contestant in contestants]
            # Small turns of all servers, so that a disturbance of the machine hits all of them.
            for _ in range(options.turns):
                for contestant, peer in peers:
                    single_calls(contestant, peer, options.calls)
                for contestant, peer in peers:
                    burst(contestant, peer, options.calls * 2)
            for contestant, peer in peers:
                contestant.peaks.append(peer.peak_mb())
                peer.close()
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    print(
        f"Python {sys.version.split()[0]}, mcp {version('mcp')}, httpx {version('httpx')}, "
        f"{os.cpu_count()} cores, stdio"
    )
    print(table(ours, quiet, bare))
    return 0


if __name__ == "__main__":
    sys.exit(main())
