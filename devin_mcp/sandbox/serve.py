"""`devin-mcp sandbox`: the simulated API by itself, for other programs."""

from __future__ import annotations

from devin_mcp.asgi_server import bind_socket, run
from devin_mcp.observability.log import event
from devin_mcp.sandbox.v1 import sandbox_app

GRACE = 2


def serve(host: str, port: int) -> int:
    """Serve until a signal. Any key that starts with apk_ is taken; each sees its own organization."""
    listener, address = bind_socket(host, port)
    event(
        "simulated_devin",
        url=address,
        use_with=f"DEVIN_BASE_URL={address} and any DEVIN_API_KEY that starts with apk",
    )
    run(sandbox_app(), listener, grace=GRACE)
    return 0
