"""What can be done with Devin, by noun. Importing a module registers its operations."""

# The order of these imports is the order of the tools within a toolset and an effect.
# isort: off
import devin_mcp.operations.account
import devin_mcp.operations.attachments
import devin_mcp.operations.delegation.tool
import devin_mcp.operations.knowledge.resources
import devin_mcp.operations.knowledge.tools
import devin_mcp.operations.messages
import devin_mcp.operations.playbooks.resources
import devin_mcp.operations.prompts
import devin_mcp.operations.repositories
import devin_mcp.operations.schedules.resources
import devin_mcp.operations.schedules.tools
import devin_mcp.operations.secrets
import devin_mcp.operations.sessions.archive
import devin_mcp.operations.sessions.files
import devin_mcp.operations.sessions.insights
import devin_mcp.operations.sessions.listing
import devin_mcp.operations.sessions.resources
import devin_mcp.operations.sessions.tools
import devin_mcp.operations.usage
import devin_mcp.operations.waiting.tool

# isort: on
from devin_mcp.operations.catalog import OPERATIONS, Operation

__all__ = ["OPERATIONS", "Operation"]
