"""Helpers for tests that delegate."""

from __future__ import annotations

from typing import Any

from tests.upstream import Upstream


def session_bodies(upstream: Upstream) -> list[Any]:
    """The request bodies of the sessions that exist."""
    return [session.body for session in upstream.organization.sessions.values()]
