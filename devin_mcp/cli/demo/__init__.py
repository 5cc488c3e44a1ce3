"""`devin-mcp demo`: shows a complete delegation to a simulated Devin, on both of its APIs."""

from devin_mcp.cli.demo.run import run_demo

__all__ = ["run_demo"]
