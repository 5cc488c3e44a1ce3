"""A simulated Devin API (v1): the other end of the wire, for people without a key and for the tests.

It imports nothing of api, operations or server, so that it cannot share their mistakes.
"""

from devin_mcp.sandbox.v1 import Sandbox, sandbox_app

__all__ = ["Sandbox", "sandbox_app"]
