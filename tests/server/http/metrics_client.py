"""Reads the Prometheus metrics of a server under test."""

from __future__ import annotations

import json

import httpx

from tests.e2e.processes import Process


async def read_metrics(address: str) -> dict[str, float]:
    """`name{labels}` -> value."""
    async with httpx.AsyncClient(timeout=10) as http:
        lines = (await http.get(address)).text.splitlines()
    samples = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
    return {name: float(value) for name, value in samples}


def metrics_address(server: Process, url: str) -> str:
    """The address of the metrics, which the server logs when it starts to serve at `url`."""
    line = next(line for line in server.stderr.splitlines() if b'"serving"' in line)
    event = json.loads(line)
    assert event["url"] == url
    return str(event["metrics"])
