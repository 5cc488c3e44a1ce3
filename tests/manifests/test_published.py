"""The files for clients and registries are generated from the code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.manifests.published import FILES, MANIFESTS


@pytest.mark.parametrize("name", FILES)
def test_file_is_what_the_code_generates(name: str) -> None:
    """`UPDATE_DOCS=1` writes them."""
    file: Path = MANIFESTS / name
    if os.environ.get("UPDATE_DOCS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FILES[name]())
        return
    assert file.read_text() == FILES[name]()
