"""The real nginx with the configuration of manifests/nginx/, on a free port, with a certificate."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import httpx2
import trustme
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import ToolClient
from tests.docs.pages import ROOT
from tests.e2e.cluster import free_port, started, system_command, wait_until_reachable

CONFIGURATION = ROOT / "manifests" / "nginx" / "devin-mcp.conf"
MAIN = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/devin-mcp.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    url: str
    """Without a path."""
    trust: ssl.SSLContext

    async def post(self, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """POST /mcp."""
        async with httpx.AsyncClient(verify=self.trust, timeout=30) as web:
            return await web.post(f"{self.url}/mcp", headers=dict(headers), content=content)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.trust, timeout=30) as web:
            return await web.get(self.url + path)

    @asynccontextmanager
    async def connect(self, headers: Mapping[str, str]) -> AsyncIterator[ToolClient]:
        async with httpx2.AsyncClient(headers=headers, verify=self.trust, timeout=60) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            async with Client(transport) as client:
                yield ToolClient(client)


@asynccontextmanager
async def start_nginx(
    directory: Path, replicas: Sequence[int], replacements: Mapping[str, str] | None = None
) -> AsyncIterator[Proxy]:
    """Nginx in front of replicas on these ports. Each replacement must occur in the file."""
    nginx, port, authority = system_command("nginx"), free_port(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    servers = "\n".join(f"    server 127.0.0.1:{replica} max_fails=0;" for replica in replicas)
    text = CONFIGURATION.read_text()
    for old, new in {
        "    server 127.0.0.1:8000 max_fails=0;\n    server 127.0.0.1:8001 max_fails=0;": servers,
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/mcp.example.com.pem": f"{directory}/server.pem",
        "/etc/ssl/mcp.example.com.key": f"{directory}/server.pem",
        **(replacements or {}),
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    (directory / "devin-mcp.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(MAIN.format(user=user, directory=directory))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    async with started(nginx, "-c", str(directory / "nginx.conf"), "-p", str(directory)):
        await wait_until_reachable(port)
        yield Proxy(f"https://localhost:{port}", trust)
