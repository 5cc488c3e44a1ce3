"""`devin-mcp doctor` with keys of the Organization API, and with keys that it tells apart."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cli.command_line import CommandLine
from tests.cli.doctor_runner import Doctor, text_of_check, verdicts
from tests.server.hostile_texts import CHARACTERS, KEYS, SECRET, SECRET_VARIABLE, unfit
from tests.upstream import KEY, V3_KEY, Upstream, answer

PAT = V3_KEY.replace("cog_sandbox", "cog_sandbox_pat")
ENTERPRISE_KEY = V3_KEY.replace("cog_sandbox", "cog_sandbox_enterprise")


@pytest.mark.parametrize(
    ("key", "owner"), [(V3_KEY, 'service user "sandbox"'), (PAT, "person (personal access token)")]
)
async def test_owner_organization_and_readable_lists_are_shown(
    doctor: Doctor, upstream: Upstream, key: str, owner: str
) -> None:
    status, report = await doctor(DEVIN_API_KEY=key, DEVIN_BASE_URL=upstream.url)
    assert status == 0
    assert text_of_check(report, "Key").startswith("a key of the Organization API (v3) is set")
    assert text_of_check(report, "API").startswith("the Organization API (v3)")
    assert text_of_check(report, "Owner").startswith(owner)
    assert text_of_check(report, "Organization").startswith("org-sandbox ")
    for name in ("sessions", "secrets", "knowledge", "playbooks"):
        assert name in text_of_check(report, "Accepted")
    assert {request.method for request in upstream.requests} == {"GET"}
    assert key not in str(report)


async def test_key_with_several_organizations_needs_a_choice(
    doctor: Doctor, upstream: Upstream
) -> None:
    variables = {"DEVIN_API_KEY": ENTERPRISE_KEY, "DEVIN_BASE_URL": upstream.url}
    status, report = await doctor(**variables)
    assert (status, verdicts(report)["Organization"]) == (1, "FAIL")
    text = text_of_check(report, "Organization")
    assert '"Sandbox second" (org-sandbox-second)' in text
    assert "DEVIN_ORG_ID" in text
    status, report = await doctor("--org-id", "org-sandbox-second", **variables)
    assert status == 0
    assert text_of_check(report, "Organization").startswith("org-sandbox-second")


async def test_missing_permission_is_named(doctor: Doctor, upstream: Upstream) -> None:
    upstream.fail_operation("list_secrets", answer(403, {"detail": "Forbidden"}))
    status, report = await doctor(DEVIN_API_KEY=V3_KEY, DEVIN_BASE_URL=upstream.url)
    assert (status, verdicts(report)["Accepted"]) == (0, "note")
    assert "but not secrets" in text_of_check(report, "Accepted")
    assert "ManageOrgSecrets" in text_of_check(report, "Accepted")


@pytest.mark.parametrize("status", [401, 403])
async def test_key_that_devin_refuses_is_reported(
    doctor: Doctor, upstream: Upstream, status: int
) -> None:
    upstream.fail_operation("get_self", answer(status, {"detail": "Forbidden"}))
    code, report = await doctor(DEVIN_API_KEY=V3_KEY, DEVIN_BASE_URL=upstream.url)
    assert (code, verdicts(report)["Accepted"]) == (1, "FAIL")
    assert f"does not accept the key ({status})" in text_of_check(report, "Accepted")


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"DEVIN_API_KEY": f"{V3_KEY}\n"}, "the blank or line end around it is cut off"),
        ({"DEVIN_API_KEY": KEY, "DEVIN_API": "v3"}, "a key of v1 is set; DEVIN_API=v3 is ignored"),
        (
            {"DEVIN_API_KEY": V3_KEY, "DEVIN_API": "v1"},
            "a key of the Organization API (v3) is set; DEVIN_API=v1 is ignored",
        ),
        ({"DEVIN_API_KEY": "oddkey"}, "of an unknown kind, taken for one of v1"),
        ({"DEVIN_API_KEY": "oddkey", "DEVIN_API": "v3"}, "of an unknown kind, DEVIN_API says v3"),
        ({"DEVIN_API_KEY": "devin-session-token$x"}, "the login token of the Devin CLI"),
    ],
)
async def test_keys_are_told_apart(
    doctor: Doctor, upstream: Upstream, variables: dict[str, str], found: str
) -> None:
    _, report = await doctor(**variables, DEVIN_BASE_URL=upstream.url)
    assert found in text_of_check(report, "Key")


async def test_odd_key_that_is_refused_gets_advice_about_its_api(
    doctor: Doctor, upstream: Upstream
) -> None:
    _, report = await doctor(DEVIN_API_KEY="oddkey", DEVIN_BASE_URL=upstream.url)
    assert "name its API with DEVIN_API" in text_of_check(report, "Accepted")


@pytest.mark.parametrize("api", ["v1", "v3"])
async def test_sandbox_of_each_api_is_healthy(doctor: Doctor, api: str) -> None:
    status, report = await doctor("--sandbox", api)
    assert status == 0
    assert text_of_check(report, "Key").startswith(f"not needed with --sandbox ({api})")
    expected: Any = {"v1": "v1", "v3": "the Organization API (v3)"}[api]
    assert text_of_check(report, "API").strip() == expected


@pytest.mark.parametrize("flags", [("--json",), ()])
async def test_name_of_the_owner_is_quoted_and_printable(
    cli: CommandLine, upstream: Upstream, flags: tuple[str, ...]
) -> None:
    variables = {"DEVIN_API_KEY": V3_KEY, "DEVIN_BASE_URL": upstream.url, SECRET_VARIABLE: SECRET}
    for name in ("Begin " + "".join(CHARACTERS.values()), f"Begin {SECRET}", f"Begin {KEYS[0]}"):
        owner = {"principal_type": "service_user", "service_user_name": name, "org_id": "org-x"}
        upstream.fail_operation("get_self", *[answer(200, owner)] * 3)
        result = await cli.in_thread(
            "doctor", "--allow-secret-env", SECRET_VARIABLE, *flags, **variables
        )
        upstream.clear_faults()
        assert re.search(r'service user \\?"Begin ', result.stdout)
        assert unfit(result.stdout.replace("\n", " ")) == []
