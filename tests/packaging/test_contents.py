"""What is in the wheel and in the sdist, what they say of themselves, and under which licences the libraries come."""

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
from tests.packaging.installed import ROOT, SCRIPTS, built, installed, run, wheel, with_uv

INFO = f"devin_mcp-{__version__}.dist-info"
FREE = {
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
"""What asks nothing of those who run or pass on the libraries as they are but to keep the notices."""


def test_the_wheel_is_the_package_and_nothing_else() -> None:
    code = {file.relative_to(ROOT).as_posix() for file in (ROOT / "devin_mcp").rglob("*.py")}
    said = {
        f"{INFO}/{name}"
        for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    with zipfile.ZipFile(wheel()) as found:
        assert set(found.namelist()) == code | said | {"devin_mcp/py.typed"}
        assert found.read("devin_mcp/py.typed") == b""
        assert b"devin-mcp = devin_mcp.cli.main:main" in found.read(f"{INFO}/entry_points.txt")


def test_the_sdist_can_be_built_and_read_and_holds_no_tests_and_no_caches() -> None:
    (sdist,) = built().glob("*.tar.gz")
    with tarfile.open(sdist) as found:
        names = {name.split("/", 1)[1] for name in found.getnames()}
    for wanted in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "devin_mcp/py.typed",
        "manifests/server.json",
        "manifests/claude-code-plugin/.claude-plugin/plugin.json",
    ):
        assert wanted in names, wanted
    assert not [
        name
        for name in names
        if re.search(r"^tests|__pycache__|\.pyc$|node_modules|\.third_party|\.venv|\.env$", name)
    ]


def test_the_metadata_are_what_an_index_shows() -> None:
    with zipfile.ZipFile(wheel()) as found:
        said = message_from_string(found.read(f"{INFO}/METADATA").decode())
    assert (said["Name"], said["Version"], said["License-Expression"]) == (
        "devin-mcp",
        __version__,
        "MIT",
    )
    assert (said["Requires-Python"], said["License-File"]) == (">=3.11", "LICENSE")
    assert said["Description-Content-Type"] == "text/markdown"
    assert f"mcp-name: {REGISTRY_NAME}" in str(said.get_payload()), (
        "the registry looks for it in what the index shows"
    )
    assert "Typing :: Typed" in said.get_all("Classifier", [])
    assert len(said.get_all("Requires-Dist", [])) >= len(PROJECT["dependencies"])


@pytest.mark.parametrize(
    "command",
    [["twine", "check", "--strict"], ["check-wheel-contents"]],
    ids=lambda words: words[0],
)
def test_those_who_check_packages_have_nothing_against_it(command: list[str]) -> None:
    files = (
        [wheel()] if command[0] == "check-wheel-contents" else sorted(built().glob("devin_mcp*"))
    )
    said = run(str(SCRIPTS / command[0]), *command[1:], *map(str, files))
    assert len(re.findall(r"PASSED|OK", said)) == len(files)


@pytest.fixture(scope="module", params=["newest", "locked"])
def licences(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Every library -> its licence: of the newest versions, and of those that requirements.lock and so the image hold."""
    env = (
        tmp_path_factory.mktemp("plain") / "env"
    )  # pip-licenses finds nothing on a path that is not ASCII
    if request.param == "newest":
        env.symlink_to(installed().parent)
    else:
        run("uv", "venv", "--quiet", str(env), env=with_uv())
        lock = ("--require-hashes", "--no-deps", "--requirement", str(ROOT / "requirements.lock"))
        run(
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            str(env / "bin" / "python"),
            *lock,
            env=with_uv(),
        )
    told = run(
        str(SCRIPTS / "pip-licenses"),
        "--python",
        str(env / "bin" / "python"),
        "--from",
        "mixed",
        "--format",
        "json",
    )
    return {re.sub(r"[-_.]+", "-", one["Name"]).lower(): one["License"] for one in json.loads(told)}


def test_every_library_comes_under_a_licence_that_asks_for_no_more_than_its_notice(
    licences: dict[str, str],
) -> None:
    assert {"mcp", "httpx", "pydantic", "structlog"} <= set(licences)
    for name, licence in licences.items():
        assert set(re.split(r" AND | OR |; ", licence)) <= FREE, f"{name}: {licence}"


@pytest.mark.parametrize("licences", ["locked"], indirect=True)
def test_the_list_of_licences_names_what_the_image_holds(licences: dict[str, str]) -> None:
    """`UPDATE_DOCS=1` writes it, after the lock was renewed."""
    rows = "\n".join(f"| {name} | {licence} |" for name, licence in sorted(licences.items()))
    text = (
        "# Licences of the libraries\n\ndevin-mcp itself is under the MIT licence. These are the libraries that "
        "`requirements.lock` and the image hold,\nthe extras `redis` and `otel` among them, with the licence each declares.\n\n"
        f"| library | licence |\n|---|---|\n{rows}\n"
    )
    file = ROOT / "docs" / "licences.md"
    if os.environ.get("UPDATE_DOCS"):
        file.write_text(text)
        return
    assert file.read_text() == text
