"""The task of a delegation, and whether a session has the same one."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from devin_mcp.operations.idempotency import IdempotentStart
from devin_mcp.operations.sessions.conversation import words_of
from devin_mcp.operations.sessions.model import Session


@dataclass(frozen=True)
class Task:
    """What was asked for."""

    prompt: str
    repository: str | None = None

    @property
    def text(self) -> str:
        """The prompt that names the repository."""
        return prompt_with_repository(self.prompt, self.repository)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the words of `text`."""
        return _digest(self.text)

    def is_of(self, session: Session, start: IdempotentStart) -> bool | None:
        """Whether the session was started with this task; None if that is unknown here."""
        if start.session_id == session.session_id:
            return start.prompt_digest == self.digest
        prompt = next((message.message for message in session.messages if message.is_task), None)
        if prompt:
            # v3 takes the repository apart from the prompt, v1 in its text.
            return _digest(prompt) in {self.digest, _digest(self.prompt)}
        return start.prompt_digest == self.digest if start.prompt_digest else None


def prompt_with_repository(prompt: str, repository: str | None) -> str:
    return f"{prompt}\n\nRepository: {repository}" if repository else prompt


def _digest(prompt: str) -> bytes:
    """Of the words without their case: a repository is sent with Devin's spelling."""
    words = [word.casefold() for word in words_of(prompt)]
    return sha256(repr(words).encode(errors="replace")).digest()
