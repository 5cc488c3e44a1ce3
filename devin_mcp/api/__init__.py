"""The wire: HTTP and Devin, nothing of MCP. The only room that imports httpx."""
