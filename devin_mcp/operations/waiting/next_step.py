"""What a caller can do after a wait, in one or two sentences."""

from __future__ import annotations

from collections.abc import Sequence

from devin_mcp.operations.sessions.model import Session
from devin_mcp.operations.sessions.view import APPROVAL, next_step
from devin_mcp.operations.waiting.target import WaitTarget

WAIT_AGAIN = "call devin_wait_for_sessions again with cursor"


def next_step_of_wait(targets: Sequence[WaitTarget], *, timed_out: bool) -> str:
    sessions = [target.session for target in targets if target.session is not None]
    nothing_began = all(session.phase == "starting" for session in sessions)
    if timed_out and nothing_began and len(sessions) == len(targets):
        return (
            f"Nothing has begun yet: {WAIT_AGAIN}. If it stays so for minutes, the organization "
            "may be out of ACUs."
        )
    if not sessions and all(target.is_resolved for target in targets):
        return (
            "It cannot be looked at any more: see problem, and devin_list_sessions for what "
            "there is."
        )
    is_working = any(_is_working(target) for target in targets)
    idle = [target.session for target in targets if target.session is not None and target.is_idle]
    if timed_out and (is_working or not idle):
        return f"Devin is still at work: {WAIT_AGAIN}."
    if len(targets) == 1 and idle:
        return next_step(idle[0])
    archived = [session for session in idle if session.archived and session.can_be_ended]
    if archived:
        others = [target for target in targets if target.session not in archived]
        text = (
            f"{len(archived)} archived: such a session takes no messages until "
            "devin_archive_session with archived=false takes it back."
        )
        rest = next_step_of_wait(others, timed_out=timed_out) if others else ""
        return f"{text} {rest}".strip()
    answer = _how_to_answer(idle)
    if idle and is_working:
        return f"{answer} For the others, {WAIT_AGAIN}."
    if idle and not any(session.accepts_messages for session in idle):
        return "All are over. Take what they delivered."
    if idle:
        if any(target.poller.refusal for target in targets):
            return f"None is at work. {answer} See problem for those that cannot be looked at."
        return f"None is at work. {answer} Take what the others delivered."
    return f"Devin is at work: {WAIT_AGAIN}."


def _how_to_answer(sessions: Sequence[Session]) -> str:
    """Some wait for a person, whom no message replaces: their reason says so."""
    if any(session.reason == APPROVAL or session.phase == "held" for session in sessions):
        return (
            "Answer those that wait for a message with devin_send_message; where reason says so, a "
            "person must act in Devin's web app."
        )
    return "Answer those that wait with devin_send_message."


def _is_working(target: WaitTarget) -> bool:
    if target.session is not None:
        return target.session.is_working
    return not target.is_resolved
