"""The surface: what can be done with Devin, one file per noun. Importing a noun puts its operations in the catalogue."""

from devin_mcp.operations import sessions  # noqa: F401, I001 - within a toolset and an effect, the order here is the order of the tools
from devin_mcp.operations import waiting, delegation, messages, attachments, secrets, knowledge, playbooks, reports, prompts  # noqa: F401
from devin_mcp.operations.declare import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation"]
