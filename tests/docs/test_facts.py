"""Numbers and names in the documentation are those of the code."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from devin_mcp import __version__
from devin_mcp.keys import API_BY_PREFIX, KEY_PAGES, PERSONAL_V1_PREFIX
from devin_mcp.operations.sessions import conversation, model
from devin_mcp.operations.sessions.model import Phase
from devin_mcp.operations.waiting import cursor
from devin_mcp.sandbox import downloads, scripts, service
from devin_mcp.server import confirmation
from devin_mcp.server.http import limits, serve
from devin_mcp.settings import SETTINGS
from tests.declared import declared_tools
from tests.docs.pages import (
    CONTRIBUTING,
    DELEGATING,
    DOCS,
    MIGRATING,
    OPERATING,
    README,
    RESOURCES_AND_PROMPTS,
    ROOT,
    SANDBOX,
    SECURITY,
    first_column,
    section,
)

DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


def test_every_tool_of_v1_is_a_tool_of_v3() -> None:
    """The README says so, and that all operations of v1 are tools (test_contract.py)."""
    assert declared_tools() <= declared_tools(api="v3")


def test_readme_names_every_kind_of_key() -> None:
    text = section(README, "Install")
    prefixes = re.findall(r"^\| [^|]+ key \| `(\w+)` \|", text, re.MULTILINE)
    assert set(prefixes) == {*API_BY_PREFIX, PERSONAL_V1_PREFIX}
    assert KEY_PAGES in text
    assert KEY_PAGES in MIGRATING.read_text()


def test_contributing_page_names_what_v1_consists_of() -> None:
    text = CONTRIBUTING.read_text()
    assert hasattr(model, "V1_PHASES")
    assert hasattr(conversation, "V1_SOURCES")
    assert (ROOT / "devin_mcp" / "sandbox" / "v1.py").exists()
    assert all(name in text for name in ("`V1_PHASES`", "`V1_SOURCES`", "`sandbox/v1.py`"))


def test_readme_names_the_result_limit() -> None:
    assert f"within {DEFAULTS['result_limit']:,} characters" in README.read_text()


def test_phases_table_lists_every_phase_in_order() -> None:
    assert tuple(first_column(section(DELEGATING, "Phases"))) == get_args(Phase)


def test_delegating_page_names_the_limits_of_waiting_and_confirmation() -> None:
    text = DELEGATING.read_text()
    assert f"one of up to {cursor.MAX_SESSIONS} sessions" in text
    assert confirmation.ANSWER_TTL_SECONDS == 600
    assert "valid for ten minutes" in " ".join(text.split())
    assert first_column(section(DELEGATING, "Confirmation"))[1:] == ["auto", "always", "never"]


def test_resources_page_names_the_cache_ttl() -> None:
    text = f"`--cache-ttl` seconds ({DEFAULTS['cache_ttl']:g})"
    assert text in RESOURCES_AND_PROMPTS.read_text()


def test_operating_page_names_the_timeouts() -> None:
    text = " ".join(OPERATING.read_text().split())
    calls = serve.GRACE_SECONDS - serve.WRITES_GRACE_SECONDS
    assert f"calls have {calls} s to finish" in text
    assert f"disconnected {serve.WRITES_GRACE_SECONDS} s more" in text
    assert f"are closed within {limits.REVALIDATE_SECONDS:g} s" in text
    assert f"client_body_timeout {limits.BODY_TIMEOUT:g}s;" in text
    assert f"large_client_header_buffers 4 {limits.MAX_HEAD_BYTES // 1024}k;" in text


@pytest.mark.parametrize("mode", ["none", "caller-key", "token", "oauth"])
def test_auth_mode_has_a_threat_model(mode: str) -> None:
    assert f"\n| `{mode}` |" in SECURITY.read_text()
    assert f"{mode} = " in next(setting.help for setting in SETTINGS if setting.name == "auth")


def test_security_page_pins_the_current_version() -> None:
    assert f"devin-mcp@{__version__}" in SECURITY.read_text()


def test_sandbox_page_lists_every_scenario() -> None:
    words = set(re.findall(r"^\| `sandbox:([\w-]+)` \|", SANDBOX.read_text(), re.MULTILINE))
    assert {*scripts.SCRIPTS, *scripts.CREATION_ERRORS, *scripts.V3_ODDITIES} == words


def test_sandbox_page_names_the_limits_of_the_sandbox() -> None:
    text = SANDBOX.read_text()
    assert f"At most {service.MAX_PARALLEL_SESSIONS} sessions" in text
    assert f"{downloads.LINK_TTL_SECONDS} seconds" in text
    assert (scripts.STARTING_SECONDS, scripts.INITIALIZING_SECONDS) == (0.5, 1.0)
    assert "first half second" in text
    assert "in its first second" in text


def test_code_in_the_operation_guide_is_the_code_of_the_package() -> None:
    code = "\n".join(
        file.read_text() for file in sorted((ROOT / "devin_mcp" / "operations").rglob("*.py"))
    )
    guide = (DOCS / "writing-an-operation.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        assert block in code, block
