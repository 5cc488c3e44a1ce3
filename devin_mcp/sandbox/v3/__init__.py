"""The Organization API (v3) over the same simulated organizations, with its observed oddities.

Facts: devin-api/v3-additions.md (newer, wins) and v3.md. Not served: schedules, repositories,
insights, consumption.
"""
