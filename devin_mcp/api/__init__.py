"""HTTP and Devin: knows nothing of MCP, and is the only package that imports httpx."""
