"""The MCP protocol: renders operations, resources and prompts. Contains no path, field or
status word of Devin's API.
"""
