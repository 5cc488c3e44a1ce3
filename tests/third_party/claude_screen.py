"""Claude Code's interactive screen in a pseudo terminal: what a person types and sees."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

from tests.e2e.processes import environment
from tests.third_party.processes import PACKAGES

MODEL_KEY = "sk-scripted-0123456789abcdef"
COLUMNS, LINES = 120, 48
WAIT_SECONDS = 60.0
"""For something to appear; what Devin does takes about ten seconds."""
SETTLE_SECONDS = 1.5
ENTER, RIGHT = "\r", "\x1b[C"


class ClaudeScreen:
    """The screen as it is drawn, and the keys."""

    def __init__(self, child: pexpect.spawn) -> None:
        self._child = child
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display if line.strip())

    def read(self, seconds: float) -> None:
        """Draw what comes within so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self._stream.feed(self._child.read_nonblocking(65536, timeout=0.1))
            except pexpect.TIMEOUT:
                continue
            except pexpect.EOF:
                return

    def wait_for(self, *texts: str) -> str:
        """The screen once it shows one of the texts, in whatever lines it is broken into."""
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            self.read(0.3)
            words = " ".join(self.text.split())
            if any(text in words for text in texts):
                return self.text
        raise AssertionError(f"none of {texts} appears:\n{self.text}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self._child.send(key)
            self.read(SETTLE_SECONDS)

    def enter(self, text: str) -> None:
        """Type a line and send it."""
        self.press(text, ENTER)

    def wait_for_end(self) -> None:
        self._child.expect(pexpect.EOF, timeout=20)


@contextmanager
def claude_screen(
    home: Path, model_url: str, server_url: str, arguments: Sequence[str] = ()
) -> Iterator[ClaudeScreen]:
    """Claude Code in `home`/project, with the server and a scripted model."""
    project = home / "project"
    project.mkdir(exist_ok=True)
    if not (home / ".claude.json").exists():
        _prepare(home, project, server_url)
    (binary,) = PACKAGES.glob("@anthropic-ai/claude-code-*/claude*")
    env = environment() | {
        "HOME": str(home),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": model_url,
        "ANTHROPIC_API_KEY": MODEL_KEY,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
    }
    words = ["--mcp-config", str(home / "mcp.json"), "--strict-mcp-config"]
    words += ["--allowedTools", "mcp__devin__*", *arguments]
    size = (LINES, COLUMNS)
    child = pexpect.spawn(str(binary), words, env=env, cwd=str(project), dimensions=size)
    try:
        screen = ClaudeScreen(child)
        screen.wait_for("? for shortcuts", "for agents")
        yield screen
    finally:
        child.terminate(force=True)


def _prepare(home: Path, project: Path, server_url: str) -> None:
    """What a person has answered at the first start, and the server's entry."""
    settings = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [MODEL_KEY[-20:]], "rejected": []},
        "projects": {
            str(project): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        },
    }
    (home / ".claude.json").write_text(json.dumps(settings))
    entry = {"type": "http", "url": server_url}
    (home / "mcp.json").write_text(json.dumps({"mcpServers": {"devin": entry}}))
