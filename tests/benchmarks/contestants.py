"""The servers that are compared, and the raw protocol with one of them over stdio."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IN_FLIGHT = 32
SESSION = "devin-" + "0" * 32
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "0"},
}


@dataclass
class Contestant:
    """A server to measure: how it is started, what it is asked, and what was measured."""

    name: str
    command: list[str]
    http_command: list[str]
    """`{port}` stands for the port."""
    environment: dict[str, str]
    tool: str
    starts: list[float] = field(default_factory=list)
    """Milliseconds from the start of the process to the answer of tools/list."""
    calls: list[float] = field(default_factory=list)
    """Milliseconds of one call."""
    rates: list[float] = field(default_factory=list)
    """Calls a second over stdio."""
    http_rates: list[float] = field(default_factory=list)
    """Calls a second over streamable HTTP."""
    peaks: list[float] = field(default_factory=list)
    """Megabytes."""
    processor: list[float] = field(default_factory=list)
    """Milliseconds of processor time a call."""
    listing: int = 0
    tools: int = 0


class Peer:
    """One server process over stdio."""

    def __init__(self, contestant: Contestant, log: Any) -> None:
        self.process = subprocess.Popen(
            contestant.command,
            env=contestant.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
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

    def call(self) -> None:
        self.send("tools/call", {"name": self._tool, "arguments": {"session_id": SESSION}})

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return 0.0
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

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
        peer.call()
        assert b'"isError":true' not in peer.line()
    return peer


def single_calls(contestant: Contestant, peer: Peer, count: int) -> None:
    before = peer.processor_ms()
    for _ in range(count):
        started = time.perf_counter()
        peer.call()
        peer.line()
        contestant.calls.append((time.perf_counter() - started) * 1000)
    contestant.processor.append((peer.processor_ms() - before) / count)


def burst(contestant: Contestant, peer: Peer, count: int) -> None:
    started = time.perf_counter()
    for _ in range(IN_FLIGHT):
        peer.call()
    for answered in range(count):
        peer.line()
        if answered + IN_FLIGHT < count:
            peer.call()
    contestant.rates.append(count / (time.perf_counter() - started))
