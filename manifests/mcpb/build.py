"""`python manifests/mcpb/build.py [FOLDER]`: makes devin-mcp-VERSION.mcpb for Claude Desktop.

The official packer checks and packs it. npx downloads the packer, or `--packer` names it.
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
CONTENTS = ("devin_mcp/**/*.py", "devin_mcp/py.typed", "pyproject.toml", "README.md", "LICENSE")
"""What uv needs to run the server; it installs the libraries itself. Nothing else is packed."""


def build(folder: Path, packer: str) -> Path:
    """The bundle, in `folder`. Raises SystemExit with one line when it cannot be made."""
    manifest = HERE / "manifest.json"
    bundle = (
        folder.resolve()
        / f"devin-mcp-{json.loads(manifest.read_text(encoding='utf-8'))['version']}.mcpb"
    )
    with tempfile.TemporaryDirectory() as stage:
        shutil.copy(manifest, stage)
        shutil.copy(
            ROOT / "manifests" / "claude-code-plugin" / ".claude-plugin" / "icon.png", stage
        )
        for source in (file for pattern in CONTENTS for file in ROOT.glob(pattern)):
            if source.resolve() != source:
                raise SystemExit(
                    f"{source} is a link; what it leads to may not be meant for others"
                )
            target = Path(stage) / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
        name, *words = shlex.split(packer)
        try:  # by its whole path, since on Windows npx is npx.cmd
            done = subprocess.run(
                [shutil.which(name) or name, *words, "pack", stage, str(bundle)], check=False
            )
        except OSError as problem:
            raise SystemExit(f"the packer cannot be run ({problem.strerror}): {packer}") from None
    if done.returncode or not bundle.exists():
        raise SystemExit("the packer made no bundle")
    return bundle


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the bundle for Claude Desktop.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path())
    parser.add_argument(
        "--packer", default=PACKER, help="command of the packer (default: %(default)s)"
    )
    options = parser.parse_args()
    build(options.folder, options.packer)
