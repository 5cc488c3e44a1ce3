"""Local files while somebody swaps directories and files for links, pipes and devices."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

import pytest

from devin_mcp.errors import DevinError, Invalid
from devin_mcp.operations.local_files import LocalFiles
from devin_mcp.operations.open_directory import is_below

ATTEMPTS = 3000
SECRET = b"secret"
CONTENT = b"content"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the allowed one, with a file of the same name as one inside."""
    directory = tmp_path / "outside"
    (directory / "b").mkdir(parents=True)
    (directory / "b" / "read.txt").write_bytes(SECRET)
    return directory


@contextmanager
def swapping(directory: Path, target: Path) -> Iterator[None]:
    """A thread replaces the directory by a link to the target and back, until the block ends."""
    stop, moved = threading.Event(), directory.with_name("moved")

    def swap() -> None:
        while not stop.is_set():
            for _ in range(25):
                directory.rename(moved)
                directory.symlink_to(target)
                directory.unlink()
                moved.rename(directory)
            stop.wait(0.001)  # so that some calls find the directory

    thread, switch_interval = threading.Thread(target=swap), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(switch_interval)


def read(local_files: LocalFiles, path: str) -> bytes | None:
    """None if the file was refused."""
    try:
        _, data = local_files.open(path)
    except DevinError:
        return None
    with data:
        return data.read()


def save(local_files: LocalFiles, path: str, content: bytes = CONTENT) -> bool:
    try:
        with local_files.create(path, "x") as (_, data):
            data.write(content)
    except DevinError:
        return False
    return True


@pytest.mark.parametrize("swapped", ["a", "a/b"])
def test_swapped_parent_directory_leads_nowhere_outside(
    files: Path, outside: Path, swapped: str
) -> None:
    parent = files / "a" / "b"
    parent.mkdir(parents=True)
    (parent / "read.txt").write_bytes(CONTENT)
    local_files, target = LocalFiles((files,)), outside if swapped == "a" else outside / "b"
    with swapping(files / swapped, target):
        contents = {read(local_files, "a/b/read.txt") for _ in range(ATTEMPTS)}
        saved = [
            name
            for name in (f"{number}.txt" for number in range(ATTEMPTS))
            if save(local_files, f"a/b/{name}")
        ]
    assert [path.name for path in outside.rglob("*")] == ["b", "read.txt"]
    assert contents <= {CONTENT, None}
    assert {path.name for path in parent.iterdir()} == {"read.txt", *saved}
    assert all((parent / name).read_bytes() == CONTENT for name in saved)
    assert CONTENT in contents
    assert saved, "some were saved, so the files were looked for"


def test_swapped_file_leads_nowhere_outside(files: Path, outside: Path) -> None:
    """The last component of the path is swapped for a link, not a directory."""
    (files / "read.txt").write_bytes(CONTENT)
    local_files = LocalFiles((files,))
    with swapping(files / "read.txt", outside / "b" / "read.txt"):
        contents = {read(local_files, "read.txt") for _ in range(ATTEMPTS)}
    assert contents <= {CONTENT, None}
    assert CONTENT in contents


def test_file_that_is_being_saved_stays_in_its_directory(files: Path, outside: Path) -> None:
    """The directory is swapped while data arrives; then it is complete, or the download fails."""
    (files / "a").mkdir()
    local_files, victim = LocalFiles((files,)), outside / "new.txt"
    for fails in (False, True):
        victim.write_bytes(SECRET)
        try:
            with local_files.create("a/new.txt", "x") as (_, data):
                data.write(CONTENT)
                (files / "a").rename(files / "moved")
                (files / "a").symlink_to(outside)
                if fails:
                    raise Invalid("broken")
        except Invalid:
            assert fails
        (files / "a").unlink()
        (files / "moved").rename(files / "a")
        assert victim.read_bytes() == SECRET
        assert sorted(path.name for path in outside.iterdir()) == ["b", "new.txt"]
        assert [path.name for path in (files / "a").iterdir()] == ([] if fails else ["new.txt"])
        (files / "a" / "new.txt").unlink(missing_ok=True)


def test_file_appears_complete_or_not_at_all(files: Path) -> None:
    local_files = LocalFiles((files,))
    with local_files.create("new.txt", "x") as (path, data):
        data.write(CONTENT)
        data.flush()
        assert not path.exists()
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    assert list(files.iterdir()) == [path]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_file_that_appears_meanwhile_is_not_overwritten(files: Path) -> None:
    with (
        pytest.raises(Invalid, match="exists already"),
        LocalFiles((files,)).create("new.txt", "x") as (path, data),
    ):
        data.write(CONTENT)
        path.write_bytes(b"of somebody else")
    assert path.read_bytes() == b"of somebody else"
    assert list(files.iterdir()) == [path]


def test_links_inside_are_followed_and_links_outside_are_not(files: Path, outside: Path) -> None:
    (files / "a").mkdir()
    (files / "a" / "read.txt").write_bytes(CONTENT)
    (files / "inside").symlink_to("a")
    (files / "file").symlink_to("a/read.txt")
    (files / "dangling").symlink_to(outside / "new.txt")
    (files / "loop").symlink_to("loop")
    (files / "outside").symlink_to(outside)
    local_files = LocalFiles((files,))
    assert [read(local_files, path) for path in ("inside/read.txt", "file")] == [CONTENT] * 2
    assert save(local_files, "inside/new.txt")
    assert (files / "a" / "new.txt").read_bytes() == CONTENT
    for path in ("outside/b/read.txt", "dangling", "loop"):
        assert read(local_files, path) is None
        assert not save(local_files, path)
    assert [path.name for path in outside.rglob("*")] == ["b", "read.txt"]


@pytest.mark.parametrize("special", ["pipe", "directory", "/dev/zero", "/dev/tty"])
def test_special_file_is_neither_read_nor_written(files: Path, special: str) -> None:
    """Also if it is a device of the machine that is allowed as a whole, and nothing blocks."""
    (files / "directory").mkdir()
    os.mkfifo(files / "pipe")
    local_files = LocalFiles((files, Path("/dev")))
    with pytest.raises(Invalid, match=r"no ordinary file|no file that can be read"):
        local_files.open(special)
    if special != "directory":
        assert not save(local_files, special)


@pytest.mark.parametrize(
    ("final", "expected"),
    [
        ("\\\\?\\C:\\Users\\me\\project\\a\\read.txt", True),
        ("\\\\?\\c:\\users\\ME\\project\\read.txt", True),
        ("\\\\?\\C:\\Users\\me\\project2\\read.txt", False),
        ("\\\\?\\C:\\Users\\me\\.ssh\\id_rsa", False),
        ("\\\\?\\UNC\\server\\share\\read.txt", False),
        ("", False),
    ],
)
def test_final_path_of_windows_is_compared_with_the_root(final: str, expected: bool) -> None:
    assert is_below(final, PureWindowsPath("C:\\Users\\me\\project")) is expected


def test_final_path_on_a_share_is_compared_with_the_root() -> None:
    root = PureWindowsPath("\\\\server\\share\\project")
    assert is_below("\\\\?\\UNC\\server\\share\\project\\read.txt", root)
    assert not is_below("\\\\?\\UNC\\server\\share\\other\\read.txt", root)
