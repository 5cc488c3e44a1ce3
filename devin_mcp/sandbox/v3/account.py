"""Who a key is, its organizations and their members (v3.md §1, v3-additions.md §1)."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from devin_mcp.sandbox.organization import USER_EMAIL
from devin_mcp.sandbox.request import ApiError, SandboxRequest
from devin_mcp.sandbox.scripts import SERVICE_USER_ID, USER_ID
from devin_mcp.sandbox.v3.page import page, seconds


async def get_self(request: SandboxRequest) -> Response:
    """A service user's answer has no `user_id`; a PAT's `org_id` is null."""
    if request.kind == "pat":
        return JSONResponse(
            {
                "principal_type": "pat_user",
                "user_id": USER_ID,
                "user_name": "Ada Sandbox",
                "api_key_id": "key-sandbox",
                "api_key_name": "sandbox",
                "org_id": None,
                "devin_sessions_org_id": request.organization.org_id,
            }
        )
    org_id = None if request.kind == "enterprise" else request.organization.org_id
    return JSONResponse(
        {
            "principal_type": "service_user",
            "service_user_id": SERVICE_USER_ID,
            "service_user_name": "sandbox",
            "org_id": org_id,
        }
    )


async def list_organizations(request: SandboxRequest) -> Response:
    """A key of one organization or a PAT gets a 403 (v3-additions.md §1)."""
    if request.kind != "enterprise":
        raise ApiError(403, "This key has no access to enterprise routes")
    rows = [
        {
            "org_id": organization.org_id,
            "name": organization.name,
            "max_session_acu_limit": None,
            "max_cycle_acu_limit": None,
            "created_at": seconds(organization.created_at),
            "updated_at": seconds(organization.created_at),
        }
        for organization in request.organizations
    ]
    return page(request, rows, "org_id")


async def list_users(request: SandboxRequest) -> Response:
    role = {"role_id": "role-member", "role_name": "Member"}
    user = {
        "user_id": USER_ID,
        "email": USER_EMAIL,
        "name": "Ada Sandbox",
        "role_assignments": [{"role": role, "org_id": request.organization.org_id}],
        "idp_role_assignments": [],
    }
    email = request.http.query_params.get("email")
    return page(request, [user] if email in {None, USER_EMAIL} else [], "user_id")
