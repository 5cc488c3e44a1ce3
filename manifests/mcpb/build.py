"""Make devin-mcp-VERSION.mcpb, which Claude Desktop installs at a double click: `python manifests/mcpb/build.py [FOLDER]`.

The official packer checks and packs it; npx brings that, or `--packer` says where it is.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKER = "npx --yes @anthropic-ai/mcpb@2.1.2"
CONTENTS = ("devin_mcp", "pyproject.toml", "README.md", "LICENSE")
"""What uv needs to run the server on any machine; libraries are brought there."""


def build(folder: Path, packer: str) -> Path:
    """The bundle, in `folder`. Raises subprocess.CalledProcessError when the packer has something against it."""
    manifest = HERE / "manifest.json"
    bundle = folder / f"devin-mcp-{json.loads(manifest.read_text(encoding='utf-8'))['version']}.mcpb"
    with tempfile.TemporaryDirectory() as stage:
        shutil.copy(manifest, stage)
        shutil.copy(ROOT / "manifests" / "claude-code-plugin" / ".claude-plugin" / "icon.png", stage)
        for name in CONTENTS:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, Path(stage) / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, stage)
        subprocess.run([*shlex.split(packer), "pack", stage, str(bundle)], check=True)
    return bundle


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the bundle for Claude Desktop.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument("--packer", default=PACKER, help="command of the packer (default: %(default)s)")
    given = parser.parse_args()
    build(given.folder, given.packer)
