"""Declarations of what people browse: resources, prompts and completions.

Each is declared beside the operations of its noun and names the tools it belongs to, so it is
hidden together with them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from devin_mcp.operations.catalog import Operation, title_of
from devin_mcp.operations.context import Context
from devin_mcp.operations.matching import Candidate
from devin_mcp.settings.toolsets import Toolset

P = ParamSpec("P")
RecordsT = TypeVar("RecordsT")
ItemsT = TypeVar("ItemsT")


@dataclass(frozen=True)
class ResourceEntry:
    """One record in the list of resources."""

    id: str
    title: str
    description: str
    size: int
    """Bytes of what reading it returns."""
    modified: str | None = None


@dataclass(frozen=True)
class ResourceContent:
    """What reading a resource returns."""

    text: str
    """Markdown."""
    next: str = ""
    """The next step, if there is one."""


ReadResource = Callable[Concatenate[Context, P], Awaitable[ResourceContent]]


@dataclass(frozen=True)
class Listing(Generic[RecordsT, ItemsT]):
    """What is listed of a key's records."""

    load: Callable[[Context], Awaitable[RecordsT]]
    """The records, from the cache or from Devin."""
    build: Callable[[RecordsT], ItemsT]
    """The items. Runs in a thread: there may be thousands of records."""


Entries = Listing[Any, Sequence[ResourceEntry]]


@dataclass(frozen=True)
class Resource:
    """A resource, or with placeholders in its URI a resource template."""

    uri: str
    """RFC 6570; its variables are parameters of `read`."""
    read: ReadResource[...]
    tool: Operation[Any, Any] | None
    """Shows the same, for the many hosts that hide resources from their models. None if no tool
    does; the resource is then visible to every caller."""
    entries: Entries | None = None
    """Lists each record of the template as a resource of its own."""
    list_tool: Operation[Any, Any] | None = None
    """Lists the same records; the entries are visible only together with it."""
    volatile: bool = False
    """Changes without a write through this server, so hosts should not cache it."""

    @property
    def name(self) -> str:
        return self.read.__name__

    @property
    def title(self) -> str:
        return title_of(self.read)

    @property
    def toolset(self) -> Toolset | None:
        return self.tool.toolset if self.tool else None

    @property
    def is_template(self) -> bool:
        return "{" in self.uri

    @property
    def subject(self) -> str | None:
        """The path variable that names the record that the URI is about."""
        variable = re.search(r"\{(\w+)\}", self.uri)
        return variable[1] if variable else None


RESOURCES: list[Resource] = []


def resource(
    uri: str,
    *,
    tool: Operation[Any, Any] | None = None,
    entries: Entries | None = None,
    list_tool: Operation[Any, Any] | None = None,
    volatile: bool = False,
) -> Callable[[ReadResource[P]], ReadResource[P]]:
    """Decorator: declares the function that reads the resource at `uri`.

    Its docstring is the description, its name makes the title.
    """

    def declare(read: ReadResource[P]) -> ReadResource[P]:
        RESOURCES.append(Resource(uri, read, tool, entries, list_tool or tool, volatile))
        return read

    return declare


@dataclass(frozen=True)
class RenderedPrompt:
    """The messages of a prompt: a text in the user's voice, and an attached resource."""

    text: str
    """A template with `{name}` for each of `values`. Sentences that name a hidden tool are removed
    before the values are filled in, so a value is never changed."""
    values: Mapping[str, str] = field(default_factory=dict)
    attached: tuple[str, str] | None = None
    """URI and markdown of a resource."""

    def fill(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda placeholder: self.values[placeholder[1]], text)


@dataclass(frozen=True)
class PromptVariant:
    """A prompt generated from a record, such as one per playbook."""

    title: str
    description: str
    record: Any
    """Passed to the prompt's function as its first argument after the context."""


RenderPrompt = Callable[..., Awaitable[RenderedPrompt]]
Variants = Listing[Any, Mapping[str, PromptVariant]]
"""By the name of each variant."""


@dataclass(frozen=True)
class Prompt:
    """A prompt under its function's name, or with `variants` one for each of them."""

    render: RenderPrompt
    requires: tuple[Operation[Any, Any], ...]
    """The prompt is visible only together with all of these tools."""
    variants: Variants | None = None
    record_parameter: str | None = None
    """The parameter of `render` that takes a variant's record; it is no argument of the prompt."""
    list_tool: Operation[Any, Any] | None = None
    """Lists the records of the variants."""

    @property
    def name(self) -> str:
        return self.render.__name__

    @property
    def title(self) -> str:
        return title_of(self.render)


PROMPTS: list[Prompt] = []


def prompt(
    *requires: Operation[Any, Any],
    variants: Variants | None = None,
    record_parameter: str | None = None,
    list_tool: Operation[Any, Any] | None = None,
) -> Callable[[RenderPrompt], RenderPrompt]:
    """Declare a prompt. The parameters of its function after the context are its arguments."""

    def declare(render: RenderPrompt) -> RenderPrompt:
        tools = (*requires, *([list_tool] if list_tool else []))
        PROMPTS.append(Prompt(render, tools, variants, record_parameter, list_tool))
        return render

    return declare


ListCandidates = Callable[[Context, Mapping[str, str]], Awaitable[Sequence[Candidate]]]


@dataclass(frozen=True)
class Completion:
    """Values for the arguments and variables of one name, visible together with `tool`."""

    candidates: ListCandidates
    tool: Operation[Any, Any]


COMPLETIONS: dict[str, Completion] = {}
"""By the name of the argument or variable."""


def completes(
    name: str, *, tool: Operation[Any, Any]
) -> Callable[[ListCandidates], ListCandidates]:
    """Declare the candidates for arguments and variables of this name.

    The function receives the context and the arguments that were filled in before.
    """

    def declare(candidates: ListCandidates) -> ListCandidates:
        COMPLETIONS[name] = Completion(candidates, tool)
        return candidates

    return declare
