"""`devin-mcp sandbox`: serves both simulated APIs over HTTP, for other programs."""

from __future__ import annotations

from devin_mcp.asgi_server import bind_socket, run
from devin_mcp.observability.log import event
from devin_mcp.sandbox.service import sandbox_app

GRACE_SECONDS = 2


def serve(host: str, port: int) -> int:
    """Serve until a stop signal and return the exit status. Raises SettingsError for an unusable
    port.
    """
    listener, address = bind_socket(host, port)
    event(
        "simulated_devin",
        url=address,
        use_with=f"DEVIN_BASE_URL={address} and any DEVIN_API_KEY that starts with apk",
        v3_keys="start with `cog_` and then `sandbox`",
    )
    run(sandbox_app(), listener, grace=GRACE_SECONDS)
    return 0
