"""Runs the `devin-mcp` command: `python -m devin_mcp`."""

from devin_mcp.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
