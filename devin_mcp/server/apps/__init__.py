"""MCP Apps (`io.modelcontextprotocol/ui`): pages that a host shows beside the answer of a tool."""
