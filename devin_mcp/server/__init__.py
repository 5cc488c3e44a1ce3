"""The protocol: renders the surface in MCP. Knows no path, field or status word of Devin's."""
