"""What reads the files takes them: clients' files start the server just as they say, the registry's schema, the official
packer and the official linters have nothing against theirs, and Claude Code and Gemini CLI connect.

Nobody has to publish the package for that: uv finds the wheel of this tree under its name.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from devin_mcp import __version__
from devin_mcp.cli.client_configs import CLIENTS
from devin_mcp.cli.tools import published_tools
from tests.conventions.test_schemas import FULL
from tests.manifests.published import MANIFESTS, ROOT
from tests.packaging.installed import SCRIPTS, run, tools_of, with_uv
from tests.third_party.hosts import host
from tests.third_party.processes import PACKAGES
from tests.upstream import KEY

SKILL = MANIFESTS / "claude-code-plugin" / "skills" / "delegating-to-devin" / "SKILL.md"
HELD = {
    "claude-desktop": "apk_...",
    "claude-code": "${DEVIN_API_KEY}",
    "vs-code": "${input:devin_key}",
    "cursor": "${env:DEVIN_API_KEY}",
    "windsurf": "${env:DEVIN_API_KEY}",
    "zed": "apk_...",
    "gemini": "$DEVIN_API_KEY",
    "json": "apk_...",
}
"""What each client puts the key in the place of, by its own documentation; Codex names the variable instead."""


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_clients_file_starts_the_server_just_as_it_says(name: str) -> None:
    text = (MANIFESTS / "clients" / f"{name}.{CLIENTS[name].suffix}").read_text()
    whole: dict[str, Any] = tomllib.loads(text) if name == "codex" else json.loads(text)
    (servers,) = (value for value in whole.values() if isinstance(value, dict))
    entry = servers["devin"]
    if name == "codex":
        assert entry["env_vars"] == ["DEVIN_API_KEY"]
    else:
        assert entry["env"] == {"DEVIN_API_KEY": HELD[name]}
    assert await tools_of(entry["command"], entry["args"], env=with_uv(DEVIN_API_KEY=KEY)) == 22


async def test_the_registrys_package_starts_the_server() -> None:
    (package,) = json.loads((MANIFESTS / "server.json").read_text())["packages"]
    assert (
        await tools_of(
            package["runtimeHint"], [f"{package['identifier']}@{package['version']}"], env=with_uv()
        )
        == 22
    )


def test_the_registrys_schema_and_the_rules_for_skills_are_kept() -> None:
    assert "All checks passed!" in run(
        str(SCRIPTS / "skillsaw"), "lint", "--strict", str(MANIFESTS)
    )


def test_a_linter_sees_the_file_for_the_registry(tmp_path: Path) -> None:
    """So that the test above cannot pass because nothing was looked at."""
    broken = json.loads((MANIFESTS / "server.json").read_text()) | {"description": "x" * 101}
    (tmp_path / "server.json").write_text(json.dumps(broken))
    done = subprocess.run(
        [SCRIPTS / "skillsaw", "lint", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "server.json" in done.stdout) == (1, True), done.stdout


async def test_the_bundle_is_packed_by_the_official_packer_and_starts_as_its_host_would(
    node: str, tmp_path: Path
) -> None:
    packer = f"'{node}' '{PACKAGES / '@anthropic-ai' / 'mcpb' / 'dist' / 'cli' / 'cli.js'}'"
    run(
        str(SCRIPTS / "python"),
        str(MANIFESTS / "mcpb" / "build.py"),
        str(tmp_path),
        "--packer",
        packer,
    )
    bundle = tmp_path / f"devin-mcp-{__version__}.mcpb"
    unpacked = tmp_path / "Claude Extensions" / "devin mcp"
    with zipfile.ZipFile(bundle) as found:
        names = set(found.namelist())
        found.extractall(unpacked)
    assert {
        "manifest.json",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "devin_mcp/__main__.py",
        "devin_mcp/py.typed",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "."))]
    script = """
        import { getMcpConfigForManifest } from "@anthropic-ai/mcpb/node";
        import fs from "node:fs";
        const [extensionPath, key] = process.argv.slice(1);
        const manifest = JSON.parse(fs.readFileSync(`${extensionPath}/manifest.json`));
        const given = { manifest, extensionPath, systemDirs: {}, userConfig: { api_key: key }, pathSeparator: "/" };
        console.log(JSON.stringify(await getMcpConfigForManifest(given)));
    """
    told = run(
        node, "--input-type=module", "--eval", script, str(unpacked), KEY, cwd=PACKAGES.parent
    )
    config = json.loads(told)
    assert config["env"] == {"DEVIN_API_KEY": KEY, "DEVIN_MCP_READ_ONLY": "false"}
    assert await tools_of(config["command"], config["args"], env=with_uv(**config["env"])) == 22
    config["env"]["DEVIN_MCP_READ_ONLY"] = "true"
    assert await tools_of(config["command"], config["args"], env=with_uv(**config["env"])) == 8


@pytest.mark.usefixtures("node")
def test_claude_code_takes_the_plugin_and_connects_with_the_key_it_asked_for(
    tmp_path: Path,
) -> None:
    folder = str(MANIFESTS / "claude-code-plugin")
    for what in (folder, f"{folder}/.claude-plugin/plugin.json"):
        verdict = host("claude", tmp_path, "plugin", "validate", what)
        assert "Validation passed\n" in verdict.replace("\n\n", "\n") + "\n", verdict
        assert "skills: devin:delegating-to-devin" in verdict
    host("claude", tmp_path, "plugin", "marketplace", "add", folder)
    host("claude", tmp_path, "plugin", "install", "devin@devin-mcp", "--config", f"api_key={KEY}")
    assert "plugin:devin:devin: uvx devin-mcp - ✔ Connected" in host(
        "claude", tmp_path, "mcp", "list"
    )
    assert KEY not in (tmp_path / ".claude" / "settings.json").read_text(), "it is kept as a secret"


@pytest.mark.usefixtures("node")
def test_claude_code_connects_by_the_projects_file(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "settings.json").write_text(
        '{"enableAllProjectMcpServers": true}'
    )  # what a person says yes to
    (project := tmp_path / "project").mkdir()
    (project / ".mcp.json").write_text((MANIFESTS / "clients" / "claude-code.json").read_text())
    assert "devin: uvx devin-mcp - ✔ Connected" in host(
        "claude", tmp_path, "mcp", "list", cwd=project
    )


@pytest.mark.usefixtures("node")
def test_gemini_cli_connects_by_its_file(tmp_path: Path) -> None:
    (project := tmp_path / "project").mkdir()
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "settings.json").write_text(
        (MANIFESTS / "clients" / "gemini.json").read_text()
    )
    (tmp_path / ".gemini" / "trustedFolders.json").write_text(
        json.dumps({str(project): "TRUST_FOLDER"})
    )
    run(
        "uvx", "devin-mcp", "--version", env=with_uv()
    )  # Gemini CLI passes no certificates on, so uv must have all it needs
    said = host("gemini", tmp_path, "mcp", "list", cwd=project, UV_OFFLINE="1")
    assert "✓ devin: uvx devin-mcp (stdio) - Connected" in said, said


def test_the_skill_is_short_and_names_only_tools_and_arguments_that_exist() -> None:
    text = SKILL.read_text()
    tools = published_tools(FULL)
    known, arguments = (
        {one["name"] for one in tools},
        {name for one in tools for name in one["inputSchema"]["properties"]},
    )
    named = set(re.findall(r"`([a-z_]+)`", text)) - {"waiting", "done"}
    assert {"devin_delegate_task", "devin_wait_for_sessions", "devin_send_message"} <= named
    assert named <= known | arguments, named - known - arguments
    assert text.count("\n") <= 60


def test_there_is_a_guide_to_the_folder() -> None:
    text = (MANIFESTS / "README.md").read_text()
    for one in sorted(MANIFESTS.iterdir()):
        assert one.name == "README.md" or f"]({one.name})" in text, (
            f"manifests/README.md does not say what {one.name} is"
        )
    assert ROOT / "manifests" == MANIFESTS
