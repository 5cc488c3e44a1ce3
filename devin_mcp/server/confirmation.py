"""Asking the person before something is taken away, where the connection can carry a question.

Only what the client brings back from its user is consent, never an argument: a model writes those. On 2026-07-28 the
question is a result that the client answers by calling again; clients of older revisions are asked while their call waits.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.server.mcpserver import Context, RequestStateSecurity
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import ValidationError

from devin_mcp.errors import BadKey, Declined, DevinError, NotAllowed, NotFound
from devin_mcp.observability.log import add_call_facts
from devin_mcp.observability.redaction import redactor
from devin_mcp.operations.catalog import Confirmation, NothingToConfirm
from devin_mcp.operations.markdown import one_line
from devin_mcp.server.context import Caller, caller_of

NAME = "confirm"
ASKED = "asked"
"""What the sealed state says; tool, arguments, caller and time are the seal's own."""
FORM: dict[str, Any] = {"type": "object", "properties": {}}
"""Nothing to fill in: to accept is to agree."""
PATIENCE = 600.0
"""Seconds a question stands."""
FOR_TITLE = 5.0
MAX_TITLE_CHARS = 80
MODERN = "2026-07-28"

Ask = Callable[[], Awaitable[str]]


async def consent(
    context: Context[Any, Any], policy: str, question: Ask
) -> InputRequiredResult | None:
    """None when it may be done, else the question for the client to bring to its user.

    Raises Declined when the person said no, NotAllowed when somebody had to be asked and nobody can be.
    """
    if policy == "never":
        return None
    if not _can_ask(context):
        if policy == "always":
            raise NotAllowed(
                "This server asks its user before it ends or deletes anything (--confirm always), and this client "
                "cannot ask anybody.",
                "Nothing was changed. The user can do it in the Devin web app.",
            )
        return None  # the host asks for approval itself, since the tool is annotated as destructive
    answer = (context.input_responses or {}).get(NAME) if context.request_state == ASKED else None
    if answer is None:
        try:
            text = await question()
        except NothingToConfirm:
            return None
        if _is_modern(context):
            add_call_facts(outcome="asked")
            form = ElicitRequest(
                params=ElicitRequestFormParams(message=text, requested_schema=FORM)
            )
            return InputRequiredResult(input_requests={NAME: form}, request_state=ASKED)
        answer = await _answer(context, text)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        raise Declined("The user was asked and did not agree.")
    return None


async def _answer(context: Context[Any, Any], question: str) -> ElicitResult:
    try:
        async with asyncio.timeout(PATIENCE):
            answer: ElicitResult = await context.session.elicit_form(
                question, FORM, related_request_id=context.request_id
            )
            return answer
    except TimeoutError:
        raise Declined("The user was asked and did not answer.") from None
    except (MCPError, ValidationError):
        raise Declined("The client could not put the question to its user.") from None


def _can_ask(context: Context[Any, Any]) -> bool:
    """Whether a question would arrive (mcp.md A.7); `{}` means forms, and a client may know addresses only."""
    capabilities = context.client_capabilities
    known = capabilities.elicitation if capabilities else None
    if known is None or (known.form is None and known.url is not None):
        return False
    return _is_modern(context) or context.session.can_send_request


def _is_modern(context: Context[Any, Any]) -> bool:
    return (context.protocol_version or "") >= MODERN


async def question_about(caller: Caller, stake: Confirmation, thing: str) -> str:
    """One line: what would be done, to what, and what is lost. A title is a third party's, so it is quoted.

    Raises NotFound where there is nothing to ask about.
    """
    title = None
    try:
        async with asyncio.timeout(FOR_TITLE):
            title = await stake.title(caller.devin(), caller.house, thing)
    except (BadKey, NotFound):
        raise
    except (DevinError, TimeoutError):
        pass  # the id alone will do
    known = (
        f"{json.dumps(one_line(title, MAX_TITLE_CHARS), ensure_ascii=False)} ({thing})"
        if title
        else thing
    )
    return redactor.clean(f"{stake.does} {known}? {stake.lost}")


def request_state_security(keys: Sequence[str]) -> RequestStateSecurity:
    """How the state of a question is sealed: for one caller, with keys that replicas share or with this process's own."""
    redactor.hide(keys)
    return RequestStateSecurity(
        keys=list(dict.fromkeys(keys)) or [os.urandom(32)], ttl=PATIENCE, bind_principal=_principal
    )


def _principal(ctx: ServerRequestContext[Any, Any]) -> str:
    return caller_of(ctx).identity.principal


def explain_rejected_state(*, shared: bool) -> ServerMiddleware[Any]:
    """Middleware around the seal, whose own words for an answer that it cannot accept tell nobody what to do."""
    text = (
        "This answer to a question is not valid (any more): it is older than ten minutes, belongs to another call or caller, "
        "or was asked by another process. Nothing was changed; call the tool again without it to be asked anew."
    )
    if not shared:
        text += " For answers that outlive a restart or reach another replica, the server needs DEVIN_MCP_STATE_KEYS."

    async def explained(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        try:
            return await call_next(ctx)
        except MCPError as refusal:
            data = refusal.error.data
            if not isinstance(data, dict) or data.get("reason") != "invalid_request_state":
                raise
            add_call_facts(error="invalid_state")
            raise MCPError(refusal.error.code, text, data) from None

    return explained
