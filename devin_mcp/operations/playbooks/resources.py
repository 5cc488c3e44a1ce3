"""Playbooks as resources and completions: all as a table, one as markdown."""

from __future__ import annotations

from collections.abc import Mapping

from devin_mcp.operations.browsing import Listing, ResourceContent, completes, resource
from devin_mcp.operations.context import Context
from devin_mcp.operations.markdown import MAX_CELL_CHARS, one_line, table
from devin_mcp.operations.matching import Candidate
from devin_mcp.operations.parameters import PlaybookId
from devin_mcp.operations.playbooks.tools import (
    get_playbook,
    list_playbooks,
    playbook_index,
    read_playbook,
)


@resource("devin://playbooks", tool=list_playbooks)
async def all_playbooks(ctx: Context) -> ResourceContent:
    """The team's playbooks as one table."""
    playbooks = (await playbook_index(ctx)).playbooks
    rows = [
        (
            one_line(playbook.title, MAX_CELL_CHARS),
            playbook.macro,
            (playbook.updated_at or "")[:10],
            playbook.playbook_id,
        )
        for playbook in playbooks
    ]
    lines, left_out = table(("Title", "Macro", "Updated", "Id"), rows, ctx.policy.result_limit)
    if not rows:
        return ResourceContent(
            "# Playbooks\n\nThere is none yet.", "Write one with devin_create_playbook."
        )
    text = f"# Playbooks\n\n{lines}"
    if left_out:
        return ResourceContent(
            text, f"{left_out} more do not fit here. Page through them with devin_list_playbooks."
        )
    return ResourceContent(text, "Read one with devin_get_playbook or at devin://playbooks/{id}.")


@resource(
    "devin://playbooks/{playbook_id}",
    tool=get_playbook,
    entries=Listing(playbook_index, lambda index: index.entries),
    list_tool=list_playbooks,
)
async def playbook(ctx: Context, playbook_id: PlaybookId) -> ResourceContent:
    """One playbook as markdown, with its title and macro on top."""
    return ResourceContent((await read_playbook(ctx, playbook_id)).markdown)


@completes("playbook_id", tool=list_playbooks)
async def playbook_candidates(ctx: Context, _: Mapping[str, str]) -> list[Candidate]:
    return (await playbook_index(ctx)).candidates
