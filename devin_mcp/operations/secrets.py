"""Secrets that Devin may use. Values are sent to Devin and never returned."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement, ApiModel, ItemList, Time
from devin_mcp.operations.catalog import (
    CREATE,
    DESTROY,
    READ,
    READ_ENVIRONMENT,
    Confirmation,
    Requires,
    operation,
)
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.parameters import NOT_BLANK, SecretId
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.results import Cursor, Next, Page, Result, Truncatable, build_page

SecretName = Annotated[str, Field(max_length=256, description="Its name"), NOT_BLANK]
SecretValue = Annotated[str, Field(max_length=65_536, description="The secret itself")]
VariableName = Annotated[
    str,
    Field(
        max_length=128,
        description="Variable to take it from, instead of value",
    ),
    Requires(READ_ENVIRONMENT),
]
IsSensitive = Annotated[bool, Field(description="Hide it in Devin's logs")]


class SessionSecret(ApiModel):
    """A secret for one session; exactly one of value and value_from_env."""

    key: SecretName
    value: SecretValue | None = Field(None, repr=False)
    value_from_env: VariableName | None = None
    sensitive: IsSensitive = True

    def body(self, policy: Policy) -> dict[str, Any]:
        """The JSON for Devin. Raises Invalid or NotAllowed."""
        value = policy.secret_value(self.value, self.value_from_env)
        return {"key": self.key, "value": value, "sensitive": self.sensitive}


class Secret(ApiModel):
    """What is known of a stored secret: never its value (v1.md §5)."""

    id: str
    type: str
    key: str | None = None
    created_at: Time | None = None


class Secrets(Page):
    rows = "secrets"
    hint = "Use ids in secret_ids of devin_create_session."
    empty = "No secret here. Store one with devin_create_secret."

    secrets: list[Secret]


@operation(READ, "secrets", v1="GET /v1/secrets")
async def list_secrets(ctx: Context, cursor: Cursor | None = None) -> Truncatable[Secrets]:
    """List ids, names and types of the organization's secrets. Values are never shown."""
    query = ListQuery("devin_list_secrets", {})
    start = query.decode(cursor)
    return build_page(Secrets, (await _read_secrets(ctx))[start:], query, start)


async def _read_secrets(ctx: Context) -> list[Secret]:
    return (await ctx.send(list_secrets, ItemList[Secret])).items


class SecretCreated(Result):
    id: str
    key: str
    next: Next


class CreatedSecret(ApiModel):
    """Devin's answer to a new secret."""

    id: str


IF_REPLY_LOST = "The secret may be stored. Look with devin_list_secrets before creating it again."


@operation(CREATE, "secrets", v1="POST /v1/secrets", if_reply_lost=IF_REPLY_LOST)
async def create_secret(
    ctx: Context,
    type: Annotated[Literal["key-value", "cookie", "totp"], Field(description="Kind of secret")],
    key: SecretName,
    value: SecretValue | None = None,
    value_from_env: VariableName | None = None,
    sensitive: IsSensitive = True,
    note: Annotated[str, Field(max_length=10_000, description="What it is for")] = "",
) -> SecretCreated:
    """Store a secret for the organization; only sessions started afterwards see it."""
    secret = await ctx.send(
        create_secret,
        CreatedSecret,
        body={
            "type": type,
            "key": key,
            "value": ctx.policy.secret_value(value, value_from_env),
            "sensitive": sensitive,
            "note": note,
        },
        private=True,
    )
    return SecretCreated(
        id=secret.id, key=key, next="New sessions can use it; running ones cannot."
    )


class SecretDeleted(Result):
    secret_id: str
    deleted: bool
    next: Next


async def _name_of_secret(ctx: Context, secret_id: str) -> str | None:
    secrets = await _read_secrets(ctx)
    return next((secret.key for secret in secrets if secret.id == secret_id), None)


@operation(
    DESTROY,
    "secrets",
    v1="DELETE /v1/secrets/{secret_id}",
    confirmation=Confirmation(
        "Delete the secret",
        "Devin can no longer log in with it, and its value cannot be read back.",
        "secret_id",
        _name_of_secret,
    ),
)
async def delete_secret(ctx: Context, secret_id: SecretId) -> SecretDeleted:
    """Delete a secret. Its value cannot be brought back."""
    await ctx.send(delete_secret, Acknowledgement, secret_id=secret_id)
    return SecretDeleted(
        secret_id=secret_id, deleted=True, next="See what is left with devin_list_secrets."
    )
