"""A simulated Devin API (v1), for people without a key and for the tests.

It imports nothing of api, operations or server, so that it cannot share their mistakes.
"""

from devin_mcp.sandbox.service import Sandbox, sandbox_app

__all__ = ["Sandbox", "sandbox_app"]
