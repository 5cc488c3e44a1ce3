"""`python -m devin_mcp` is `devin-mcp`."""

from devin_mcp.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
