"""Texts of settings that need more than a type."""

from __future__ import annotations

import pytest

from devin_mcp.settings import SettingsError, resolve


@pytest.mark.parametrize("text", ["${user_config.org_id}", "${DEVIN_ORG_ID}", ""])
def test_placeholder_left_in_place_of_the_organization_counts_as_absent(text: str) -> None:
    assert resolve({}, {"DEVIN_ORG_ID": text}).org_id == ""


@pytest.mark.parametrize("text", ["../x", "org 1", "org/1", "org-1\n/x"])
def test_organization_that_is_no_plain_id_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="DEVIN_ORG_ID must be an organization's id"):
        resolve({}, {"DEVIN_ORG_ID": text})


@pytest.mark.parametrize(
    ("text", "api"),
    [("v1", "v1"), ("V3", "v3"), ("true", "v3"), ("1", "v3"), ("off", ""), ("0", "")],
)
def test_sandbox_names_an_api_or_says_yes_or_no(text: str, api: str) -> None:
    assert resolve({}, {"DEVIN_MCP_SANDBOX": text}).sandbox == api
