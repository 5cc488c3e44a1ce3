"""The contents of wheel and sdist, their metadata, and the licences of the libraries."""

from __future__ import annotations

import json
import os
import re
import tarfile
import zipfile
from email import message_from_string

import pytest

from devin_mcp import __version__
from tests.manifests.published import PROJECT, REGISTRY_NAME
from tests.packaging.installed import (
    ROOT,
    SCRIPTS,
    distributions,
    install_wheel,
    run,
    uv_environment,
    wheel,
)

INFO = f"devin_mcp-{__version__}.dist-info"
PERMISSIVE_LICENCES = {
    "3-Clause BSD License",
    "Apache-2.0",
    "Apache Software License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD License",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "MPL-2.0",
    "PSF-2.0",
    "Python Software Foundation License",
}
"""Licences that ask nothing but to keep their notices, of people who run or pass on the libraries
unchanged."""


def test_wheel_holds_the_package_and_nothing_else() -> None:
    code = {file.relative_to(ROOT).as_posix() for file in (ROOT / "devin_mcp").rglob("*.py")}
    metadata = {
        f"{INFO}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    with zipfile.ZipFile(wheel()) as archive:
        data = {
            "devin_mcp/py.typed",
            "devin_mcp/server/SKILL.md",
            "devin_mcp/server/apps/sessions.html",
            "devin_mcp/server/tool_schemas.json",
        }
        assert set(archive.namelist()) == code | metadata | data
        assert archive.read("devin_mcp/py.typed") == b""
        assert b"devin-mcp = devin_mcp.cli.main:main" in archive.read(f"{INFO}/entry_points.txt")


def test_sdist_holds_docs_and_manifests_and_no_tests_or_caches() -> None:
    (sdist,) = distributions().glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    for expected in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "devin_mcp/py.typed",
        "manifests/server.json",
        "manifests/claude-code-plugin/.claude-plugin/plugin.json",
    ):
        assert expected in names, expected
    assert not [
        name
        for name in names
        if re.search(r"^tests|__pycache__|\.pyc$|node_modules|\.third_party|\.venv|\.env$", name)
    ]


def test_metadata_name_version_licence_and_registry_name() -> None:
    with zipfile.ZipFile(wheel()) as archive:
        metadata = message_from_string(archive.read(f"{INFO}/METADATA").decode())
    assert (metadata["Name"], metadata["Version"], metadata["License-Expression"]) == (
        "devin-mcp",
        __version__,
        "MIT",
    )
    assert (metadata["Requires-Python"], metadata["License-File"]) == (">=3.11", "LICENSE")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert f"mcp-name: {REGISTRY_NAME}" in str(metadata.get_payload()), (
        "the MCP registry looks for this line in the README on PyPI"
    )
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert len(metadata.get_all("Requires-Dist", [])) >= len(PROJECT["dependencies"])


@pytest.mark.parametrize(
    "command",
    [["twine", "check", "--strict"], ["check-wheel-contents"]],
    ids=lambda words: words[0],
)
def test_package_checkers_pass(command: list[str]) -> None:
    files = (
        [wheel()]
        if command[0] == "check-wheel-contents"
        else sorted(distributions().glob("devin_mcp*"))
    )
    output = run(str(SCRIPTS / command[0]), *command[1:], *map(str, files))
    assert len(re.findall(r"PASSED|OK", output)) == len(files)


@pytest.fixture(scope="module", params=["newest", "locked"])
def licences(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Library -> licence, of the newest versions and of those in requirements.lock."""
    env = (
        tmp_path_factory.mktemp("plain") / "env"
    )  # pip-licenses finds nothing on a path that is not ASCII
    if request.param == "newest":
        env.symlink_to(install_wheel().parent)
    else:
        run("uv", "venv", "--quiet", str(env), env=uv_environment())
        lock = ("--require-hashes", "--no-deps", "--requirement", str(ROOT / "requirements.lock"))
        run(
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            str(env / "bin" / "python"),
            *lock,
            env=uv_environment(),
        )
    table = run(
        str(SCRIPTS / "pip-licenses"),
        "--python",
        str(env / "bin" / "python"),
        "--from",
        "mixed",
        "--format",
        "json",
    )
    return {
        re.sub(r"[-_.]+", "-", row["Name"]).lower(): row["License"] for row in json.loads(table)
    }


def test_every_library_has_a_permissive_licence(
    licences: dict[str, str],
) -> None:
    assert {"mcp", "httpx", "pydantic", "structlog"} <= set(licences)
    for name, licence in licences.items():
        assert set(re.split(r" AND | OR |; ", licence)) <= PERMISSIVE_LICENCES, f"{name}: {licence}"


@pytest.mark.parametrize("licences", ["locked"], indirect=True)
def test_docs_list_the_licences_of_the_image(licences: dict[str, str]) -> None:
    """`UPDATE_DOCS=1` writes docs/licences.md; run it after requirements.lock was renewed."""
    rows = "\n".join(f"| {name} | {licence} |" for name, licence in sorted(licences.items()))
    text = (
        "# Licences of the libraries\n\n"
        "devin-mcp itself is under the MIT licence. These are the libraries that "
        "`requirements.lock` and the image hold,\n"
        "the extras `redis` and `otel` among them, with the licence each declares.\n\n"
        f"| library | licence |\n|---|---|\n{rows}\n"
    )
    file = ROOT / "docs" / "licences.md"
    if os.environ.get("UPDATE_DOCS"):
        file.write_text(text)
        return
    assert file.read_text() == text
