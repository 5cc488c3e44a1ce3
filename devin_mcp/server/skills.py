"""Skills (SEP-2640): the skill of the Claude Code plugin, for every client that asks for skills."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from mcp import MCPError
from mcp.server.extension import Extension, MethodBinding
from mcp.types import (
    INVALID_PARAMS,
    Annotations,
    PaginatedRequestParams,
    ReadResourceResult,
    RequestParams,
    TextResourceContents,
)
from mcp.types import Resource as McpResource

from devin_mcp.observability.printable import quote_line
from devin_mcp.server.client_extensions import declared_extension
from devin_mcp.server.confirmation import FIRST_STATELESS_REVISION
from devin_mcp.server.context import RequestContext, current_caller
from devin_mcp.server.visibility import VisibleTools

FILE = Path(__file__).with_name("SKILL.md")
SKILLS = "io.modelcontextprotocol/skills"
MARKDOWN = "text/markdown"
CACHE = {"ttlMs": 3_600_000, "cacheScope": "private"}
_FRONTMATTER = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)
_TOOL = re.compile(r"`(devin_\w+)`")


@dataclass(frozen=True)
class Skill:
    """A text that tells a model when and how to use the tools."""

    text: str
    frontmatter: dict[str, str]
    """`name` and `description`."""
    tools: frozenset[str]
    """The tools that it names."""

    @classmethod
    def read(cls, file: Path) -> Self:
        text = file.read_text(encoding="utf-8")
        match = _FRONTMATTER.match(text)
        lines = match[1].splitlines() if match else []
        pairs = (line.partition(": ") for line in lines)
        return cls(text, {name: value for name, _, value in pairs}, frozenset(_TOOL.findall(text)))

    @property
    def uri(self) -> str:
        return f"skill://{self.frontmatter['name']}/SKILL.md"

    @property
    def title(self) -> str:
        """The first heading."""
        title: str = _HEADING.findall(self.text)[0]
        return title

    @property
    def entry(self) -> dict[str, Any]:
        """As in `skills/list`."""
        data = self.text.encode()
        digest = f"sha256:{sha256(data).hexdigest()}"
        files = [{"uri": self.uri, "digest": digest, "size": len(data)}]
        return {"uri": self.uri, "frontmatter": self.frontmatter, "resources": files}


@cache
def _skill() -> Skill:
    return Skill.read(FILE)


def visible_skills(visible: VisibleTools) -> list[Skill]:
    """The skills of which the caller has all tools."""
    return [skill for skill in (_skill(),) if skill.tools <= set(visible.names)]


def skill_resources(ctx: RequestContext, visible: VisibleTools) -> list[McpResource]:
    """The files of the skills, for a client that declares skills on this request."""
    if declared_extension(ctx, SKILLS) is None:
        return []
    return [
        McpResource(
            uri=skill.uri,
            name=skill.frontmatter["name"],
            title=skill.title,
            description=skill.frontmatter["description"],
            mime_type=MARKDOWN,
            size=len(skill.text.encode()),
            annotations=Annotations(audience=["assistant"]),
        )
        for skill in visible_skills(visible)
    ]


def read_skill(uri: str, visible: VisibleTools) -> ReadResourceResult | None:
    """None if the URI is no skill's."""
    for skill in visible_skills(visible):
        if skill.uri == uri:
            contents = TextResourceContents(uri=uri, mime_type=MARKDOWN, text=skill.text)
            return ReadResourceResult(
                contents=[contents], ttl_ms=CACHE["ttlMs"], cache_scope="private"
            )
    return None


class GetSkillParams(RequestParams):
    uri: str


class SkillsExtension(Extension):
    """`skills/list` and `skills/get`. The files are read with `resources/read`."""

    identifier = SKILLS

    def methods(self) -> Sequence[MethodBinding]:
        revisions = frozenset({FIRST_STATELESS_REVISION})
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, revisions),
            MethodBinding("skills/get", GetSkillParams, self._get, revisions),
        ]

    async def _list(self, _: RequestContext, __: PaginatedRequestParams) -> dict[str, Any]:
        skills = visible_skills(current_caller.get().visible)
        return {"resultType": "complete", "skills": [skill.entry for skill in skills], **CACHE}

    async def _get(self, _: RequestContext, params: GetSkillParams) -> dict[str, Any]:
        for skill in visible_skills(current_caller.get().visible):
            if skill.uri == params.uri:
                return {"resultType": "complete", "skill": skill.entry, **CACHE}
        message = f"Unknown skill: {quote_line(params.uri)}. See skills/list."
        raise MCPError(INVALID_PARAMS, message, {"uri": params.uri})
