"""The surface: what can be done with Devin, one file per noun. Importing a noun puts its operations in the catalogue."""

from devin_mcp.operations.sessions import tools as sessions  # noqa: F401, I001 - within a toolset and an effect, the order here is the order of the tools
from devin_mcp.operations import delegation, messages, attachments, secrets, playbooks, prompts
from devin_mcp.operations.waiting import tool as waiting
from devin_mcp.operations.knowledge import tools as knowledge
from devin_mcp.operations.sessions import resources as reports  # noqa: F401
from devin_mcp.operations.catalog import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation"]
