"""Confirmation: asks a person before something is destroyed or starts to spend by itself, where the
client can ask (elicitation).

Only what the client brings back from its user counts as consent, never an argument, because a model
writes those. In 2026-07-28 the question is a result that the client answers by calling again; older
clients are asked while the call waits.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.mcpserver import Context as SdkContext
from mcp.server.mcpserver import RequestStateSecurity
from mcp.types import (
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from pydantic import ValidationError

from devin_mcp.errors import BadKey, Declined, DevinError, NotAllowed, NotFound
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.printable import printable, quote_line
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.catalog import Arguments, Confirmation, NothingToConfirm
from devin_mcp.operations.context import Context
from devin_mcp.server.context import CallerContext, current_caller

REQUEST_NAME = "confirm"
REQUEST_STATE = "asked"
"""Payload of the request state. The SDK binds tool, arguments, caller and expiry itself."""
EMPTY_FORM: dict[str, Any] = {"type": "object", "properties": {}}
"""Nothing to fill in: accepting the form is the consent."""
ANSWER_TTL_SECONDS = 600.0
TITLE_TIMEOUT = 5.0
MAX_TITLE_CHARS = 80
FIRST_STATELESS_REVISION = "2026-07-28"

_REFUSALS = {
    "decline": "The question whether to do this was answered with no.",
    "cancel": "The question whether to do this was closed without an answer.",
}
"""Action of the answer -> what is said of it. Nobody may have seen the question: some hosts answer
by themselves where nobody is there (hosts.md §1).
"""
DECLINED_ADVICE = (
    "Nothing was changed. Where nobody can be asked, the person who runs this server can turn the "
    "question off with --confirm never; or do it in the Devin web app."
)


@dataclass(frozen=True)
class Question:
    """What a person is asked about one call."""

    caller: CallerContext
    confirmation: Confirmation
    arguments: Arguments

    async def consequence(self) -> str:
        """Raises Invalid for wrong arguments, NothingToConfirm if no question is needed."""
        consequence = self.confirmation.consequence
        if isinstance(consequence, str):
            return consequence
        return await consequence(self.caller.context(), self.arguments)

    async def text(self) -> str:
        """One line: the action, the thing, the consequence. Titles are third-party text, so quoted.

        Raises NotFound if the thing does not exist, and what `consequence` raises.
        """
        consequence = await self.consequence()
        name, describe = self.arguments[self.confirmation.subject], self.confirmation.describe
        if describe is None:
            subject = quote_line(name, MAX_TITLE_CHARS)
        else:
            title = await _title_of(self.caller.context(), describe, name)
            subject = f"{quote_line(title, MAX_TITLE_CHARS)} ({name})" if title else name
        return f"{self.confirmation.action} {subject}? {consequence}"


async def confirm(
    sdk_context: SdkContext[Any, Any], when: str, question: Question
) -> InputRequiredResult | None:
    """None if the operation may run, else the question for the client's user.

    `when` is the setting --confirm. Raises Declined if the person said no, NotAllowed if a person
    must be asked and the client cannot ask.
    """
    if when == "never":
        return None
    if not _can_ask(sdk_context):
        if when == "always" and await _is_needed(question):
            raise NotAllowed(
                "This server asks its user before it does this (--confirm always), and this client "
                "cannot ask anybody.",
                "Nothing was changed. The user can do it in the Devin web app.",
            )
        return None  # the host asks for approval itself: the tool is annotated as destructive
    answer = None
    if sdk_context.request_state == REQUEST_STATE:
        answer = (sdk_context.input_responses or {}).get(REQUEST_NAME)
    if answer is None:
        try:
            text = printable(await question.text())
        except NothingToConfirm:
            return None
        if _is_stateless(sdk_context):
            add_call_facts(outcome="asked")
            return _input_required(text)
        answer = await _ask(sdk_context, text)
    if not isinstance(answer, ElicitResult):
        raise Declined("The client's answer to the question could not be read.", DECLINED_ADVICE)
    if answer.action != "accept":
        raise Declined(_REFUSALS[answer.action], DECLINED_ADVICE)
    return None


async def _is_needed(question: Question) -> bool:
    try:
        await question.consequence()
    except NothingToConfirm:
        return False
    return True


def _input_required(question: str) -> InputRequiredResult:
    form = ElicitRequest(
        params=ElicitRequestFormParams(message=question, requested_schema=EMPTY_FORM)
    )
    return InputRequiredResult(input_requests={REQUEST_NAME: form}, request_state=REQUEST_STATE)


async def _ask(sdk_context: SdkContext[Any, Any], question: str) -> ElicitResult:
    """Ask a client of an older revision while the call waits. Raises Declined without an answer."""
    try:
        async with asyncio.timeout(ANSWER_TTL_SECONDS):
            answer: ElicitResult = await sdk_context.session.elicit_form(
                question, EMPTY_FORM, related_request_id=sdk_context.request_id
            )
            return answer
    except TimeoutError:
        raise Declined(
            "The question whether to do this was not answered within ten minutes.", DECLINED_ADVICE
        ) from None
    except (MCPError, ValidationError):
        raise Declined("The client could not ask whether to do this.", DECLINED_ADVICE) from None


def takes_forms(capabilities: ClientCapabilities | None) -> bool:
    """Whether the client shows forms (mcp.md A.7). `{}` means that; some take only URLs."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _can_ask(sdk_context: SdkContext[Any, Any]) -> bool:
    """Whether a question would arrive."""
    if not takes_forms(sdk_context.client_capabilities):
        return False
    return _is_stateless(sdk_context) or sdk_context.session.can_send_request


def _is_stateless(sdk_context: SdkContext[Any, Any]) -> bool:
    return (sdk_context.protocol_version or "") >= FIRST_STATELESS_REVISION


async def _title_of(
    ctx: Context, describe: Callable[[Context, str], Awaitable[str | None]], subject_id: str
) -> str | None:
    try:
        async with asyncio.timeout(TITLE_TIMEOUT):
            return await describe(ctx, subject_id)
    except (BadKey, NotFound):
        raise
    except (DevinError, TimeoutError):
        return None  # the id alone is enough


def request_state_security(keys: Sequence[str]) -> RequestStateSecurity:
    """Seals the state of a question for one caller, with shared keys or this process's own."""
    redactor.hide(keys)
    return RequestStateSecurity(
        keys=list(dict.fromkeys(keys)) or [os.urandom(32)],
        ttl=ANSWER_TTL_SECONDS,
        bind_principal=_principal,
    )


def _principal(_: ServerRequestContext[Any, Any]) -> str:
    identity = current_caller.get().identity
    return f"{identity.principal}:{identity.key.tenant}"
