"""The command line: one module per command, and the configuration files of MCP clients."""
