"""Claude Code's interactive screen: a person delegates, goes on, is asked, and sees the result.

The model is scripted, everything else is real. Devin is the simulated one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.third_party.processes import DEVIN_MCP, start_server
from tests.third_party.scripted_model import (
    PULL_REQUEST,
    QUESTION,
    Call,
    Conversation,
    scripted_model,
)

if sys.platform != "win32":
    from tests.third_party.claude_screen import ENTER, RIGHT, ClaudeScreen, claude_screen

pytestmark = [
    pytest.mark.usefixtures("node"),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo terminals"),
]

STARTED = "I tell you when Devin needs you."
RELAYED = "Devin asks how strict it should be."
ANNOUNCED = "Devin has opened the pull request."


def delegate_and_wait(conversation: Conversation) -> Call | str:
    """The model delegates, waits as a task, and says what it is woken with."""
    delegated = conversation.last("devin_delegate_task")
    if delegated is None:
        words = "sandbox:forever" if "sandbox:forever" in conversation.text else "Refuse it"
        return Call("devin_delegate_task", {"prompt": words})
    if conversation.last("devin_wait_for_sessions") is None:
        session_id = delegated.text_field("session_id")
        return Call("devin_wait_for_sessions", {"session_ids": [session_id]})
    if PULL_REQUEST in conversation.text:
        return ANNOUNCED
    return RELAYED if f"{QUESTION} (an error)" in conversation.text else STARTED


@dataclass
class Desk:
    """Claude Code with a server and a model."""

    home: Path
    model_url: str
    server_url: str
    log: Path

    def open(self, *arguments: str) -> AbstractContextManager[ClaudeScreen]:
        return claude_screen(self.home, self.model_url, self.server_url, arguments)

    def methods(self) -> list[str]:
        """What the server was asked, in order."""
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line["method"] for line in lines if line["event"] == "mcp_call"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    log = tmp_path / "log"
    command = [DEVIN_MCP, "http", "--sandbox", "v3", "--port", "0", "--log-format", "json"]
    with start_server(command, log) as url, scripted_model(delegate_and_wait) as model:
        yield Desk(tmp_path, model.url, url, log)


def test_person_is_asked_in_a_form_and_sees_the_pull_request_announced(desk: Desk) -> None:
    with desk.open() as screen:
        screen.enter("Let Devin refuse negative prices")
        screen.wait_for(STARTED)
        form = screen.wait_for("requests your input")
        assert "Devin asks in" in form
        assert "strict (an error)" in form
        screen.press("Strict, please.", ENTER, ENTER)
        screen.wait_for(ANNOUNCED)
    assert desk.methods().count("tasks/update") == 1


def test_declined_question_goes_to_the_model_after_exit_and_resume(desk: Desk) -> None:
    with desk.open() as screen:
        screen.enter("Let Devin refuse negative prices")
        screen.wait_for(STARTED)
        screen.enter("/exit")
        screen.wait_for_end()
    with desk.open("--continue") as screen:
        screen.wait_for("requests your input")
        screen.press(ENTER, RIGHT, ENTER)
        screen.wait_for(RELAYED)
    assert "tasks/update" in desk.methods()


def test_stopped_task_ends_the_wait_and_never_the_session(desk: Desk) -> None:
    with desk.open() as screen:
        screen.enter("Let Devin do sandbox:forever")
        screen.wait_for(STARTED)
        screen.enter("/tasks")
        screen.wait_for("x to stop")
        screen.press("x")
        screen.wait_for("No tasks currently running")
    methods = desk.methods()
    assert "tasks/cancel" in methods
    operations = {json.loads(line).get("operation") for line in desk.log.read_text().splitlines()}
    assert "terminate_session" not in operations
