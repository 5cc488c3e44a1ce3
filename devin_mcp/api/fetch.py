"""Fetches JSON from a URL that is not Devin's, such as the keys of an authorization server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from devin_mcp.api.connections import HEADERS
from devin_mcp.api.environment_transport import EnvironmentTransport, Network
from devin_mcp.api.response_body import decoded_parts
from devin_mcp.errors import Broken, NotSent
from devin_mcp.settings import Settings

FETCH_TIMEOUT = 5.0
MAX_JSON_BYTES = 512 * 1024


async def fetch_json(
    settings: Settings,
    url: str,
    *,
    timeout_seconds: float = FETCH_TIMEOUT,
    max_bytes: int = MAX_JSON_BYTES,
) -> dict[str, Any]:
    """GET a JSON object, with the certificates and proxies of the environment.

    `timeout_seconds` covers the whole exchange; httpx's own timeouts apply to each read.

    Raises Broken when there is no successful response in time (its cause is the transport's error),
    ValueError when the body is larger than `max_bytes` or is not a JSON object.
    """
    transport = EnvironmentTransport(Network.of(settings))
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            httpx.AsyncClient(transport=transport, headers=HEADERS, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            body = bytearray()
            async for chunk in decoded_parts(response):
                body += chunk
                if len(body) > max_bytes:
                    raise ValueError(f"The response has more than {max_bytes} bytes.")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, NotSent) as error:
        raise Broken("The document could not be fetched.", "Try again in a minute.") from error
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("The response is not a JSON object.")  # noqa: TRY004 - a wrong response
    return document
