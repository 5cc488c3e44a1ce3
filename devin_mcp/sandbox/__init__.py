"""A simulated Devin with both of its APIs (v1 and v3), for people without a key and for the tests.

It imports nothing of api, operations or server, so that it cannot share their mistakes.
"""

from devin_mcp.sandbox.service import Sandbox, sandbox_app

__all__ = ["Sandbox", "sandbox_app"]
