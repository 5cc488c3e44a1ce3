"""Fixtures of the HTTP transport: a file with callers' tokens, an authorization server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from devin_mcp.asgi_server import bind_socket
from tests.http_client import QuietServer
from tests.server.http.fake_issuer import FakeIssuer

ANA_TOKEN, BEN_TOKEN = "ana-token-0001", "ben-token-0002"


def token_line(name: str, token: str) -> str:
    return f"{name}:{hashlib.sha256(token.encode()).hexdigest()}\n"


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """A file for --caller-tokens-file with ana and ben."""
    file = tmp_path / "tokens"
    lines = token_line("ana", ANA_TOKEN) + token_line("ben", BEN_TOKEN)
    file.write_text(f"# who may call\n\n{lines}")
    return file


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    """A running authorization server with one key, k1."""
    issuer = FakeIssuer()
    issuer.new_key("k1")
    listener, address = bind_socket("127.0.0.1", 0)
    issuer.url = f"{address}/tenant"
    app = Starlette(routes=[Route("/{path:path}", issuer.respond)])
    server = QuietServer(uvicorn.Config(app, log_config=None))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield issuer
    server.should_exit = True
    await serving
