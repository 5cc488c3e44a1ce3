"""Helpers that fill the organization with notes and playbooks, and read prompts."""

from __future__ import annotations

from mcp.types import GetPromptResult, TextContent

from devin_mcp.sandbox.sample_data import playbook
from tests.operations.records import note
from tests.upstream import Upstream


def write_notes(upstream: Upstream, count: int, size: int = 10) -> None:
    """Replace all notes by so many, each with a body of this size."""
    upstream.organization.notes = {
        f"note-{number:05d}": note(
            f"note-{number:05d}",
            name=f"Note {number:05d}",
            trigger_description=f"When {number}",
            body="x" * size,
        )
        for number in range(count)
    }


def write_playbooks(upstream: Upstream, *playbooks: tuple[str, str, str | None]) -> None:
    """Replace all playbooks by these: id, title and macro. Each is a second newer than the last."""
    upstream.organization.playbooks = {
        playbook_id: playbook(
            playbook_id,
            title,
            f"Do {title}.",
            macro,
            f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z",
        )
        for number, (playbook_id, title, macro) in enumerate(playbooks)
    }


def prompt_text(result: GetPromptResult) -> str:
    """The text of a prompt's first message."""
    content = result.messages[0].content
    assert isinstance(content, TextContent)
    return content.text
