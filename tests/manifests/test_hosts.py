"""The files in manifests/ work: they start the server, and official checkers accept them.

Claude Code and Gemini CLI connect with them. The package need not be published: uv finds the wheel
of this tree.
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
from devin_mcp.operations.catalog import READ
from devin_mcp.server.tools import published_tools
from tests.conventions.test_schemas import FULL
from tests.declared import declared_tools
from tests.manifests.published import MANIFESTS, ROOT
from tests.packaging.installed import SCRIPTS, listed_tools, run, uv_environment
from tests.third_party.hosts import host
from tests.third_party.processes import PACKAGES
from tests.upstream import KEY

SKILL = MANIFESTS / "claude-code-plugin" / "skills" / "delegating-to-devin" / "SKILL.md"
KEY_REFERENCES = {
    "claude-desktop": "cog_...",
    "claude-code": "${DEVIN_API_KEY}",
    "vs-code": "${input:devin_key}",
    "cursor": "${env:DEVIN_API_KEY}",
    "windsurf": "${env:DEVIN_API_KEY}",
    "zed": "cog_...",
    "gemini": "$DEVIN_API_KEY",
    "json": "cog_...",
}
"""What stands in place of the key, by each client's documentation; Codex names the variable
instead."""


async def test_client_files_start_the_server() -> None:
    """All of them name the same command, so it is started once, through uvx."""
    commands = set()
    for name, client in CLIENTS.items():
        text = (MANIFESTS / "clients" / f"{name}.{client.suffix}").read_text()
        contents: dict[str, Any] = tomllib.loads(text) if name == "codex" else json.loads(text)
        (servers,) = (value for value in contents.values() if isinstance(value, dict))
        entry = servers["devin"]
        if name == "codex":
            assert entry["env_vars"] == ["DEVIN_API_KEY"]
        else:
            assert entry["env"] == {"DEVIN_API_KEY": KEY_REFERENCES[name]}
        commands.add((entry["command"], *entry["args"]))
    ((command, *arguments),) = commands
    listed = await listed_tools(command, arguments, env=uv_environment(DEVIN_API_KEY=KEY))
    assert listed == declared_tools()


async def test_package_in_the_registry_file_starts_the_server() -> None:
    (package,) = json.loads((MANIFESTS / "server.json").read_text())["packages"]
    requirement = f"{package['identifier']}@{package['version']}"
    listed = await listed_tools(package["runtimeHint"], [requirement], env=uv_environment())
    assert listed == declared_tools()


def test_linter_accepts_the_registry_file_and_the_skill() -> None:
    assert "All checks passed!" in run(
        str(SCRIPTS / "skillsaw"), "lint", "--strict", str(MANIFESTS)
    )


def test_linter_reads_the_registry_file(tmp_path: Path) -> None:
    """Otherwise the test above could pass because no file was checked."""
    broken = json.loads((MANIFESTS / "server.json").read_text()) | {"description": "x" * 101}
    (tmp_path / "server.json").write_text(json.dumps(broken))
    process = subprocess.run(
        [SCRIPTS / "skillsaw", "lint", tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, "server.json" in process.stdout) == (1, True), process.stdout


async def test_bundle_is_packed_and_starts_as_claude_desktop_starts_it(
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
    with zipfile.ZipFile(bundle) as archive:
        names = set(archive.namelist())
        archive.extractall(unpacked)
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
        const userConfig = { api_key: key };
        const host = { manifest, extensionPath, systemDirs: {}, userConfig, pathSeparator: "/" };
        console.log(JSON.stringify(await getMcpConfigForManifest(host)));
    """
    resolved = run(
        node, "--input-type=module", "--eval", script, str(unpacked), KEY, cwd=PACKAGES.parent
    )
    config = json.loads(resolved)
    assert config["env"] == {
        "DEVIN_API_KEY": KEY,
        "DEVIN_ORG_ID": "",
        "DEVIN_MCP_READ_ONLY": "false",
    }
    assert (
        await listed_tools(config["command"], config["args"], env=uv_environment(**config["env"]))
        == declared_tools()
    )
    config["env"]["DEVIN_MCP_READ_ONLY"] = "true"
    assert await listed_tools(
        config["command"], config["args"], env=uv_environment(**config["env"])
    ) == declared_tools(READ)


@pytest.mark.usefixtures("node")
def test_claude_code_installs_the_plugin_and_connects(
    tmp_path: Path,
) -> None:
    folder = str(MANIFESTS / "claude-code-plugin")
    for path in (folder, f"{folder}/.claude-plugin/plugin.json"):
        verdict = host("claude", tmp_path, "plugin", "validate", path)
        assert "Validation passed\n" in verdict.replace("\n\n", "\n") + "\n", verdict
        assert "skills: devin:delegating-to-devin" in verdict
    host("claude", tmp_path, "plugin", "marketplace", "add", folder)
    host("claude", tmp_path, "plugin", "install", "devin@devin-mcp", "--config", f"api_key={KEY}")
    assert "plugin:devin:devin: uvx devin-mcp - ✔ Connected" in host(
        "claude", tmp_path, "mcp", "list"
    )
    assert KEY not in (tmp_path / ".claude" / "settings.json").read_text(), (
        "Claude Code keeps the key as a secret"
    )


@pytest.mark.usefixtures("node")
def test_claude_code_connects_with_the_project_file(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    # What a user agrees to in a dialog.
    settings = '{"enableAllProjectMcpServers": true}'
    (tmp_path / ".claude" / "settings.json").write_text(settings)
    (project := tmp_path / "project").mkdir()
    (project / ".mcp.json").write_text((MANIFESTS / "clients" / "claude-code.json").read_text())
    assert "devin: uvx devin-mcp - ✔ Connected" in host(
        "claude", tmp_path, "mcp", "list", cwd=project
    )


@pytest.mark.usefixtures("node")
def test_gemini_cli_connects_with_its_settings_file(tmp_path: Path) -> None:
    (project := tmp_path / "project").mkdir()
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "settings.json").write_text(
        (MANIFESTS / "clients" / "gemini.json").read_text()
    )
    (tmp_path / ".gemini" / "trustedFolders.json").write_text(
        json.dumps({str(project): "TRUST_FOLDER"})
    )
    # Gemini CLI passes no certificate variable on, so uv must have everything in its cache.
    run("uvx", "devin-mcp", "--version", env=uv_environment())
    output = host("gemini", tmp_path, "mcp", "list", cwd=project, UV_OFFLINE="1")
    assert "✓ devin: uvx devin-mcp (stdio) - Connected" in output, output


def test_skill_is_short_and_names_existing_tools_and_arguments() -> None:
    text = SKILL.read_text()
    tools = published_tools(FULL["v1"])
    names = {tool["name"] for tool in tools}
    arguments = {name for tool in tools for name in tool["inputSchema"]["properties"]}
    named = set(re.findall(r"`([a-z_]+)`", text)) - {"waiting", "done", "held"}
    assert {"devin_delegate_task", "devin_wait_for_sessions", "devin_send_message"} <= named
    assert named <= names | arguments, named - names - arguments
    assert text.count("\n") <= 60


def test_readme_describes_every_file_of_manifests() -> None:
    text = (MANIFESTS / "README.md").read_text()
    for file in sorted(MANIFESTS.iterdir()):
        assert file.name == "README.md" or f"]({file.name})" in text, (
            f"manifests/README.md does not say what {file.name} is"
        )
    assert ROOT / "manifests" == MANIFESTS
