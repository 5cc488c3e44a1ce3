"""A Model Context Protocol server over the Devin API."""

__version__ = "0.1.0"
