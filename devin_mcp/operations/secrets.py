"""Secrets: what Devin may log in with. Values go in and never come out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from devin_mcp.api.client import ApiCall
from devin_mcp.api.models import Acknowledgement, ApiModel, Rows, SecretId, Time
from devin_mcp.operations.catalog import (
    CREATE,
    DESTROY,
    READ,
    READ_ENVIRONMENT,
    Confirmation,
    needs,
    operation,
)
from devin_mcp.operations.context import House
from devin_mcp.operations.list_cursor import ListQuery
from devin_mcp.operations.results import Cursor, Next, Page, Result, from_position

Key = Annotated[str, Field(min_length=1, max_length=256, description="Its name")]
Value = Annotated[str, Field(min_length=1, max_length=65_536, description="The secret itself")]
FromEnv = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        description="Variable to take the value from, instead of value",
    ),
    needs(READ_ENVIRONMENT),
]


class SessionSecret(ApiModel):
    """A secret for one session; exactly one of value and value_from_env."""

    key: Key
    value: Value | None = Field(None, repr=False)
    value_from_env: FromEnv | None = None
    sensitive: Annotated[bool, Field(description="Hide it in Devin's logs")] = True

    def wire(self, house: House) -> dict[str, Any]:
        return {
            "key": self.key,
            "value": house.secret(self.value, self.value_from_env),
            "sensitive": self.sensitive,
        }


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
async def list_secrets(devin: ApiCall, cursor: Cursor | None = None) -> Secrets:
    """Ids, names and types of the organization's secrets. Values are never shown."""
    rows = (await devin.send(Rows[Secret])).items
    query = ListQuery("devin_list_secrets", {})
    start = query.decode(cursor)
    return Secrets.of(rows[start:], query, from_position(start, len(rows[start:])))


class SecretCreated(Result):
    id: str
    key: str
    next: Next


class Created(ApiModel):
    id: str


IF_REPLY_LOST = "The secret may be stored. Look with devin_list_secrets before creating it again."


@operation(CREATE, "secrets", v1="POST /v1/secrets", if_lost=IF_REPLY_LOST)
async def create_secret(
    devin: ApiCall,
    house: House,
    type: Annotated[Literal["key-value", "cookie", "totp"], Field(description="Kind of secret")],
    key: Key,
    value: Value | None = None,
    value_from_env: FromEnv | None = None,
    sensitive: Annotated[bool, Field(description="Hide it in Devin's logs")] = True,
    note: Annotated[str, Field(max_length=10_000, description="What it is for")] = "",
) -> SecretCreated:
    """The new secret's id. Stores a secret for the organization; only sessions started afterwards see it."""
    body = {
        "type": type,
        "key": key,
        "value": house.secret(value, value_from_env),
        "sensitive": sensitive,
        "note": note,
    }
    made = await devin.send(Created, body=body, private=True)
    return SecretCreated(id=made.id, key=key, next="New sessions can use it; running ones cannot.")


class SecretDeleted(Result):
    secret_id: str
    deleted: bool
    next: Next


async def name_of(devin: ApiCall, house: House, secret_id: str) -> str | None:  # noqa: ARG001 - titles share a shape
    secrets = (await list_secrets.at(devin).send(Rows[Secret])).items
    return next((secret.key for secret in secrets if secret.id == secret_id), None)


DELETING = Confirmation(
    "Delete the secret",
    "Devin can no longer log in with it, and its value cannot be read back.",
    name_of,
)


@operation(DESTROY, "secrets", v1="DELETE /v1/secrets/{secret_id}", stake=DELETING)
async def delete_secret(devin: ApiCall, secret_id: SecretId) -> SecretDeleted:
    """Confirmation that the secret is gone. Its value cannot be brought back."""
    await devin.send(Acknowledgement, secret_id=secret_id)
    return SecretDeleted(
        secret_id=secret_id, deleted=True, next="See what is left with devin_list_secrets."
    )
