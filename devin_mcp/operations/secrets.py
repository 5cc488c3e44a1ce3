"""Secrets that Devin may use. Values are sent to Devin and never returned."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from devin_mcp.api.models import Acknowledgement, ApiModel, Time
from devin_mcp.api.paging import read_all
from devin_mcp.errors import NotAllowed, NotFound
from devin_mcp.operations.capabilities import READ_ENVIRONMENT, V3, Requires
from devin_mcp.operations.catalog import CREATE, DESTROY, READ, Confirmation, operation
from devin_mcp.operations.context import Context
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.parameters import NOT_BLANK, SecretId
from devin_mcp.operations.policy import Policy
from devin_mcp.operations.results import (
    Cursor,
    Next,
    Page,
    Result,
    Truncatable,
    build_page,
    rows_of_page,
)
from devin_mcp.settings.toolsets import SECRETS

SecretName = Annotated[str, Field(max_length=256, description="Its name"), NOT_BLANK]
SecretValue = Annotated[str, Field(max_length=65_536, description="The secret itself")]
VariableName = Annotated[
    str,
    Field(
        max_length=128,
        description="Or a variable that holds it",
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
    """What is known of a stored secret: never its value (v1.md §5, v3.md §8)."""

    secret_id: str = Field(alias="id")
    secret_type: str = Field(alias="type")
    key: str | None = None
    note: Annotated[str | None, Requires(V3)] = None
    created_at: Time | None = None


class SecretWrite(ApiModel):
    """A new secret, as Devin takes it."""

    type: str
    key: str
    value: str = Field(repr=False)
    is_sensitive: bool = Field(alias="sensitive")
    note: str


class Secrets(Page):
    rows = "secrets"
    hint = "Use ids in secret_ids of devin_create_session."
    empty = "No secret here. Store one with devin_create_secret."

    secrets: list[Secret]


@operation(
    READ,
    SECRETS,
    v1="GET /v1/secrets",
    v3="GET /secrets?first=200",
    permission="ManageOrgSecrets",
)
async def list_secrets(ctx: Context, cursor: Cursor | None = None) -> Truncatable[Secrets]:
    """List the secrets (credentials) that Devin has: ids, names, types. Values are never shown."""
    query = ListQuery("devin_list_secrets", {})
    start = query.decode(cursor)
    rows, has_more = rows_of_page(await _read_secrets(ctx), start)
    return build_page(Secrets, rows, query, start, has_more=has_more)


async def _read_secrets(ctx: Context) -> list[Secret]:
    return await read_all(ctx, list_secrets, Secret)


class SecretCreated(Result):
    secret_id: str
    key: str
    next: Next


class CreatedSecret(ApiModel):
    """Devin's answer to a new secret."""

    secret_id: str = Field(alias="id")


IF_REPLY_LOST = "The secret may be stored. Look with devin_list_secrets before creating it again."


@operation(
    CREATE,
    SECRETS,
    v1="POST /v1/secrets",
    v3="POST /secrets",
    permission="ManageOrgSecrets",
    if_reply_lost=IF_REPLY_LOST,
)
async def create_secret(
    ctx: Context,
    type: Annotated[Literal["key-value", "cookie", "totp"], Field(description="Kind of secret")],
    key: SecretName,
    value: SecretValue | None = None,
    value_from_env: VariableName | None = None,
    sensitive: IsSensitive = True,
    note: Annotated[str, Field(max_length=10_000, description="What it is for")] = "",
) -> SecretCreated:
    """Store a credential for Devin, such as an API key. Only sessions started afterwards see it."""
    secret = await ctx.send(
        create_secret,
        CreatedSecret,
        body=SecretWrite(
            type=type,
            key=key,
            value=ctx.policy.secret_value(value, value_from_env),
            is_sensitive=sensitive,
            note=note,
        ),
        private=True,
    )
    return SecretCreated(
        secret_id=secret.secret_id, key=key, next="New sessions can use it; running ones cannot."
    )


class SecretDeleted(Result):
    secret_id: str
    deleted: bool
    next: Next


async def _name_of_secret(ctx: Context, secret_id: str) -> str | None:
    return (await _find_secret(ctx, secret_id)).key


async def _find_secret(ctx: Context, secret_id: str) -> Secret:
    """Raises NotFound."""
    for secret in await _read_secrets(ctx):
        if secret.secret_id == secret_id:
            return secret
    raise NotFound("Devin does not know that secret id.")


@operation(
    DESTROY,
    SECRETS,
    v1="DELETE /v1/secrets/{secret_id}",
    v3="DELETE /secrets/{secret_id}",
    permission="ManageOrgSecrets",
    confirmation=Confirmation(
        "Delete the secret",
        "Devin can no longer log in with it, and its value cannot be read back.",
        "secret_id",
        _name_of_secret,
    ),
    search_hint="remove or revoke a saved credential, key or password",
)
async def delete_secret(ctx: Context, secret_id: SecretId) -> SecretDeleted:
    """Delete a stored secret. Its value cannot be brought back."""
    try:
        await ctx.send(delete_secret, Acknowledgement, secret_id=secret_id)
    except NotAllowed:  # on v3 also the answer for a secret that is gone (v3-additions.md §8)
        await _find_secret(ctx, secret_id)
        raise
    return SecretDeleted(
        secret_id=secret_id, deleted=True, next="See what is left with devin_list_secrets."
    )
