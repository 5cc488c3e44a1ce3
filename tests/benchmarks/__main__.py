"""`python -m tests.benchmarks`: compares devin-mcp with a bare server on the same SDK.

Figures are of whole processes, spoken to in the raw protocol, so that no client's own cost is in
them. Each server runs in an environment of its own, made on first use, with what its users install:
the bare one with mcp and httpx, and without sniffio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.contestants import Contestant, burst, single_calls, start
from tests.benchmarks.environments import bare_python, own_python
from tests.benchmarks.http_calls import http_calls, start_http

HERE = Path(__file__).parent


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


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


ROWS: list[tuple[str, Callable[[list[float]], float], str, float, bool]] = [
    ("start to tools/list, ms", statistics.median, "starts", 1.06, True),
    ("one call p50, ms", statistics.median, "calls", 0.85, True),
    ("one call p95, ms", p95, "calls", 0.95, True),
    ("processor time a call, ms", statistics.mean, "processor", 0.7, True),
    ("calls/s, 32 in flight", statistics.median, "rates", 2.0, False),
    ("calls/s, HTTP, 32 callers", statistics.median, "http_rates", 2.0, False),
    ("peak memory, MB", statistics.median, "peaks", 1.3, True),  # aiohttp is 0.17 of it
]
"""Label, figure, measurements, the ratio to reach, and whether less is better."""


def table(ours: Contestant, quiet: Contestant, bare: Contestant) -> str:
    lines = [f"{'':<26}{'bare':>10}{'devin-mcp':>12}{'ratio':>8}{'to reach':>11}   without logging"]
    for label, figure, name, bound, less_is_better in ROWS:
        bare_figure, our_figure, quiet_figure = (
            float(figure(getattr(server, name))) for server in (bare, ours, quiet)
        )
        ratio = our_figure / bare_figure
        is_reached = (ratio <= bound) is less_is_better
        verdict = f"{'<=' if less_is_better else '>='} {bound:.2f} {'ok' if is_reached else 'NO'}"
        lines.append(
            f"{label:<26}{bare_figure:>10.2f}{our_figure:>12.2f}{ratio:>8.2f}{verdict:>12}"
            f"   {quiet_figure:.2f}"
        )
    lines.append(
        f"{'bytes of tools/list':<26}{bare.listing:>10}{ours.listing:>12}"
        f"   (1 tool and {ours.tools})"
    )
    difference = statistics.median(ours.calls) - statistics.median(quiet.calls)
    lines.append(
        f"logging (two JSON lines a call) costs {difference * 1000:.0f} microseconds a call"
    )
    return "\n".join(lines)


def contestants(base: str) -> tuple[Contestant, Contestant, Contestant]:
    """The bare server, ours, and ours without logging."""
    # Without bytecode files only an editable install would start slower.
    left_out = ("DEVIN_", "PYTHONDONTWRITEBYTECODE")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    devin = plain | {
        "DEVIN_BASE_URL": base,
        "DEVIN_API_KEY": "apk_bench",
        "DEVIN_MCP_LOG_FORMAT": "json",
    }
    command = [own_python(), "-m", "devin_mcp"]
    http = [*command, "http", "--port", "{port}"]
    bare_command = [bare_python(), str(HERE / "bare.py")]
    silent = devin | {"DEVIN_MCP_LOG_LEVEL": "error"}
    return (
        Contestant(
            "bare",
            bare_command,
            [*bare_command, "{port}"],
            plain | {"BARE_UPSTREAM": base},
            "get_session",
        ),
        Contestant("devin-mcp", command, http, devin, "devin_get_session"),
        Contestant("without logging", command, http, silent, "devin_get_session"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes")
    parser.add_argument("--turns", type=int, default=8, help="turns per round")
    parser.add_argument(
        "--calls",
        type=int,
        default=40,
        help="single calls per turn; twice as many with 32 in flight, ten times over HTTP",
    )
    options = parser.parse_args()
    with start_upstream() as base, Path(os.devnull).open("wb") as log:
        servers = contestants(base)
        for server in servers:
            start(server, log).close()  # warms the caches of the file system
            server.starts.clear()
        for number in range(options.rounds):
            # Small turns of all servers, so that a disturbance of the machine hits all of them.
            peers = [(server, start(server, log)) for server in servers]
            for _ in range(options.turns):
                for server, peer in peers:
                    single_calls(server, peer, options.calls)
                for server, peer in peers:
                    burst(server, peer, options.calls * 2)
            for server, peer in peers:
                server.peaks.append(peer.peak_mb())
                peer.close()
            with ExitStack() as stack:
                ports = [
                    (server, stack.enter_context(start_http(server, log))) for server in servers
                ]
                for _ in range(options.turns):
                    for server, port in ports:
                        http_calls(server, port, options.calls * 10)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    bare, ours, quiet = servers
    print(
        f"Python {sys.version.split()[0]}, mcp {version('mcp')}, httpx {version('httpx')}, "
        f"{os.cpu_count()} cores"
    )
    print(table(ours, quiet, bare))
    return 0


if __name__ == "__main__":
    sys.exit(main())
