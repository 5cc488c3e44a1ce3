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
        return _digest(words_of(self.text))

    def is_of(self, session: Session, start: IdempotentStart) -> bool | None:
        """Whether the session was started with this task; None if that is unknown here."""
        if start.session_id == session.session_id:
            return start.prompt_digest == self.digest
        prompt = next((message.message for message in session.messages if message.is_task), None)
        if prompt:
            # v3 takes the repository apart from the prompt, v1 in its text.
            words = words_of(prompt)
            found = {_digest(words), _digest(self._with_own_spelling(words))}
            return not found.isdisjoint({self.digest, _digest(words_of(self.prompt))})
        return start.prompt_digest == self.digest if start.prompt_digest else None

    def _with_own_spelling(self, words: list[str]) -> list[str]:
        """A repository at the end is sent as Devin writes it, which may be in another case."""
        repository = self.repository or ""
        if words and words[-1].casefold() == repository.casefold():
            return [*words[:-1], repository]
        return words


def prompt_with_repository(prompt: str, repository: str | None) -> str:
    return f"{prompt}\n\nRepository: {repository}" if repository else prompt


def _digest(words: list[str]) -> bytes:
    return sha256(repr(words).encode(errors="replace")).digest()
