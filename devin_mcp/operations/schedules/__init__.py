"""Schedules: sessions that start by themselves, once or again and again (v3.md §10)."""
