"""`devin-mcp config` run by uvx or pipx names that tool, not its temporary environment."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.cli.client_files import entry_in
from tests.declared import declared_tools
from tests.packaging.installed import ROOT, distributions, listed_tools, run, uv_environment, wheel


@contextmanager
def http_server(folder: Path) -> Iterator[int]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


async def test_config_run_by_uvx_names_uvx_and_the_origin() -> None:
    """An environment of uvx is deleted some day, so no path of one may get into a client's file."""
    env = uv_environment()
    entry = entry_in("json", run("uvx", "devin-mcp", "config", "json", "--sandbox", env=env))
    assert (Path(entry["command"]).stem, entry["args"]) == ("uvx", ["devin-mcp", "--sandbox"])
    assert Path(entry["command"]).is_absolute()
    entry = entry_in(
        "json", run("uvx", "--from", str(ROOT), "devin-mcp", "config", "json", "--sandbox", env=env)
    )
    assert entry["args"] == ["--from", ROOT.as_uri(), "devin-mcp", "--sandbox"]
    assert await listed_tools(entry["command"], entry["args"], env=env) == declared_tools(api="v3")


def test_config_refuses_an_origin_with_a_secret_in_its_url(tmp_path: Path) -> None:
    with http_server(distributions()) as port:
        origin = f"http://127.0.0.1:{port}/{wheel().name}?private_token=glpat_1"
        process = subprocess.run(
            ["uvx", "--from", origin, "devin-mcp", "config", "cursor", "--write"],
            env=uv_environment(HOME=str(tmp_path)),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (process.returncode, "may hold a secret" in process.stderr) == (2, True), process.stderr
    assert not list(tmp_path.rglob("mcp.json"))


def test_config_run_by_pipx_names_pipx_and_the_wheel(tmp_path: Path) -> None:
    env = tmp_path / "pipx" / ".cache" / "1a2b"
    run("uv", "venv", "--quiet", str(env), env=uv_environment())
    run(
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(env / "bin" / "python"),
        str(wheel()),
        env=uv_environment(),
    )
    entry = entry_in("json", run(str(env / "bin" / "devin-mcp"), "config", "json"))
    assert (Path(entry["command"]).name, entry["args"]) == (
        "pipx",
        ["run", "--spec", wheel().as_uri(), "devin-mcp"],
    )


def test_config_keeps_the_pinned_git_revision(tmp_path: Path) -> None:
    """The revision that a user reviewed is the one that the client runs."""
    (place := tmp_path / "repository" / "inside").mkdir(parents=True)
    for name in ("devin_mcp", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x"],
        ["tag", "v9"],
    ):
        run("git", *words, cwd=place.parent)
    origin = f"git+{place.parent.as_uri()}@v9#subdirectory=inside"
    entry = entry_in(
        "json", run("uvx", "--from", origin, "devin-mcp", "config", "json", env=uv_environment())
    )
    assert entry["args"] == ["--from", origin, "devin-mcp"]
