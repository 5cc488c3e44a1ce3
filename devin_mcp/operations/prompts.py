"""Prompts that users select, such as slash commands, with their full texts.

A text speaks in the user's voice to their assistant. Sentences that name a hidden tool are removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from devin_mcp.observability.printable import quote_line
from devin_mcp.operations.browsing import PROMPTS, Listing, PromptVariant, RenderedPrompt, prompt
from devin_mcp.operations.capabilities import V3, Requires
from devin_mcp.operations.context import Context
from devin_mcp.operations.delegation.tool import delegate_task
from devin_mcp.operations.markdown import first_line, one_line
from devin_mcp.operations.parameters import Repository, SessionId
from devin_mcp.operations.playbooks.model import Playbook, PlaybookIndex
from devin_mcp.operations.playbooks.tools import (
    create_playbook,
    list_playbooks,
    playbook_index,
    read_playbook,
)
from devin_mcp.operations.sessions.archive import archive_session
from devin_mcp.operations.sessions.listing import list_sessions
from devin_mcp.operations.sessions.tools import get_session

Task = Annotated[str, Field(max_length=20_000, description="What Devin is to do")]
"""The only argument of a prompt that delegates, and optional: Claude Code splits the words that a
person types into the arguments in order (hosts.md §5).
"""
MAX_TITLE_CHARS = 80

THE_TASK = """\
{task}

Where the words that I typed with this command stand above, they are the task, all of them: some clients pass on only the first.
"""

HAND_OVER = """\
- Write the prompt so that somebody who has not read this conversation can do the work:
  1. Goal: what is to be different afterwards, and why.
  2. Repository, branch, and the files or places that matter.
  3. Acceptance criteria that can be checked.
  4. What must not be touched.
  5. How to verify it: the commands to run, what they should show.
  6. What to deliver, usually a pull request with a short description.
- Copy in what Devin cannot see (error messages, decisions, snippets). No key or password: name the secret instead.
- Where one of these is missing and guessing would be costly, ask me one question first. Otherwise say what you assumed.
- Files that Devin needs go into files, not into the prompt.
- Start exactly one session: choose an idempotency_key for this task, and if you have to repeat the call, repeat it with that.
- Then tell me the link and in one sentence what you handed over. Wait for Devin only if I ask you to."""


@prompt(delegate_task)
async def delegate(_: Context, task: Task | None = None) -> RenderedPrompt:
    """Hand a task over to Devin, or what we have been talking about, complete in itself."""
    opening = (
        f"Hand this task over to Devin:\n\n{THE_TASK}"
        if task
        else "Hand what we have been working on over to Devin.\n"
    )
    text = f"{opening}\nUse devin_delegate_task.\n{HAND_OVER}"
    return RenderedPrompt(text, {"task": task or ""})


OneRepository = Annotated[
    Repository, Field(description="Only sessions on this owner/name"), Requires(V3)
]
"""The only argument of the prompts about sessions, for the same reason."""


@prompt(list_sessions)
async def standup(_: Context, repository: OneRepository | None = None) -> RenderedPrompt:
    """What my Devin sessions are doing, which of them wait for me, with links."""
    text = f"""\
Give me a stand-up on my Devin sessions{_on(repository)}.

Use devin_list_sessions. Read the last message of every session that is waiting with devin_get_session.
Answer in this order, leaving out what is empty:

**Waiting for me** - one line each: title as a link, what Devin asks or delivers, and the answer you would give.
**Held or failed** - title as a link, its reason in words, and who has to do what about it.
**Working** - title as a link, how long it has been at it.
**Done since yesterday** - title as a link, the pull request. Name the files that Devin made, which devin_list_session_files lists.
**Stuck or ended** - sleeping, expired or silent ones, and what you would do about each. Say which devin_archive_session could file away.

Finish with the one thing I should do next. Send nothing, archive nothing and end nothing unless I say so."""
    return RenderedPrompt(text, {"repository": repository or ""})


@prompt(list_sessions, archive_session)
async def tidy(_: Context, repository: OneRepository | None = None) -> RenderedPrompt:
    """Which of my Devin sessions can be archived; archives them after a yes."""
    text = f"""\
Tidy up my Devin sessions{_on(repository)}.

Read all pages of devin_list_sessions. Change nothing yet.
Propose to archive a session if it has ended, if its pull request is merged or closed, or if it has delivered and nothing happened for a week.
Leave what works, is held or asks me something. Give each of these one line: title as a link, what it needs.

Show the proposal as a table: title as a link, phase, last change, pull request with its state, why it can go.
Say which of them have files, which devin_list_session_files lists.

Then ask me once which of them to archive. After my yes, use devin_archive_session for these and for no other.
Tell me how many you archived, that devin_list_sessions with archived=true lists them, and that devin_archive_session with archived=false takes one back."""
    return RenderedPrompt(text, {"repository": repository or ""})


def _on(repository: str | None) -> str:
    return " on {repository}" if repository else ""


@prompt(get_session)
async def review_session(_: Context, session_id: SessionId) -> RenderedPrompt:
    """What a Devin session did, whether it is done, and what to answer it."""
    text = """\
Review the Devin session {session_id} for me.

Read it with devin_get_session, from its first message (after_event_id=start) where the newest ones do not tell enough.
What the session says is its own claim. If you can open the pull request or run the code, check it there.

Then tell me, shortly:
1. What was asked, and what Devin did (pull request, files, tests).
2. Whether it is done: each acceptance criterion with yes, no or unproven, and how you know.
3. What is missing, risky or different from what was asked.
4. What to answer: a message ready to send, or that none is needed.

Do not send the message before I have agreed. When I have, use devin_send_message."""
    return RenderedPrompt(text, {"session_id": session_id})


@prompt(create_playbook)
async def write_playbook(_: Context, session_id: SessionId | None = None) -> RenderedPrompt:
    """Turn what worked, here or in a Devin session, into a playbook that Devin can follow again."""
    text = """\
Look with devin_list_playbooks whether one exists that should be improved instead.
Write it in markdown for an engineer who knows nothing of this case:
- **Outcome**: one sentence, checkable.
- **Needs**: access, secrets by name, inputs.
- **Steps**: numbered, imperative, one action each; only those that turned out to matter, and where we went wrong.
- **Verify**: the commands and what they should show.
- **Never**: what must not be done.

Replace what belongs to this one case by what to look for. Put no key, password or customer's data into it.
Show me title, macro and text. When I have agreed, save it with devin_create_playbook."""
    if session_id is None:
        return RenderedPrompt(f"Turn what we did here into a Devin playbook.\n\n{text}")
    read = "Read it with devin_get_session, from its first message on (after_event_id=start)."
    return RenderedPrompt(
        f"Turn the Devin session {{session_id}} into a Devin playbook.\n\n{read}\n{text}",
        {"session_id": session_id},
    )


def _playbook_variants(index: PlaybookIndex) -> Mapping[str, PromptVariant]:
    """One prompt per playbook, under a name that can be typed."""
    fixed_names = frozenset(prompt.name for prompt in PROMPTS if prompt.variants is None)
    playbooks = index.by_name(fixed_names)
    return {
        name: PromptVariant(
            one_line(playbook.title),
            _description(playbook),
            playbook,
        )
        for name, playbook in playbooks.items()
    }


def _description(playbook: Playbook) -> str:
    beginning = first_line(playbook.body)
    return f"Delegate a task to Devin with this playbook{f': {quote_line(beginning)}' if beginning else '.'}"


@prompt(
    delegate_task,
    variants=Listing(playbook_index, _playbook_variants),
    record_parameter="playbook",
    list_tool=list_playbooks,
)
async def with_playbook(
    ctx: Context,
    playbook: Playbook,
    task: Task | None = None,
) -> RenderedPrompt:
    """Delegate a task to Devin with one playbook."""
    if playbook.body is None:
        playbook = await read_playbook(ctx, playbook.playbook_id)
    opening = (
        f"Hand this task over to Devin, with the playbook {{title}}:\n\n{THE_TASK}"
        if task
        else "Hand what we have been working on over to Devin, with the playbook {title}.\n"
    )
    text = f"""\
{opening}
Use devin_delegate_task with
- playbook: {{playbook_id}}
- prompt: the task. The playbook reaches Devin by its id: do not copy it into the prompt. It is attached for you to read.
Where it is not attached, devin_get_playbook shows it.
{HAND_OVER}"""
    values = {
        "title": quote_line(playbook.title, MAX_TITLE_CHARS),
        "task": task or "",
        "playbook_id": playbook.playbook_id,
    }
    uri = f"devin://playbooks/{playbook.playbook_id}"
    return RenderedPrompt(text, values, (uri, _attachment(playbook, ctx.policy.result_limit)))


def _attachment(playbook: Playbook, limit: int) -> str:
    markdown = playbook.markdown
    if len(markdown) <= limit:
        return markdown
    return f"{markdown[:limit]}\n\n(Cut here. Devin gets all of it.)"
