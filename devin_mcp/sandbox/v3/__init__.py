"""The Organization API (v3) over the same simulated organizations, with its observed oddities.

Facts: devin-api/v3-additions.md (newer, wins) and v3.md. Served: what a tool
uses, and some more.
"""
