"""The MCP protocol: renders operations, resources and prompts. Knows no path, field or status word
of Devin's API.
"""
