"""Delegation: a session is started with all it needs, never twice."""
