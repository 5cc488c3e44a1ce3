"""HTTP access to Devin. Imports nothing of MCP, and is the only package that imports httpx."""
