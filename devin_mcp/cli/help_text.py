"""Texts of --help that are made from the settings."""

from __future__ import annotations

import shutil
import textwrap

from devin_mcp.settings import SETTINGS
from devin_mcp.settings.setting import Setting

MIN_HELP_WIDTH = 40


def flag_help(setting: Setting) -> str:
    """The help of a flag, with its default."""
    default = ""
    if setting.default not in (None, "", (), False):
        text = f"{setting.default:g}" if setting.kind == "number" else str(setting.default)
        default = f" (default {text})"
    repeated = "; can be repeated" if setting.is_list else ""
    return f"{setting.help}{repeated}{default}".replace("%", "%%")


def environment_help() -> str:
    """The end of the help: settings that are variables only."""
    # As argparse wraps the rest of the help. COLUMNS may say anything.
    width = max(shutil.get_terminal_size().columns - 2, MIN_HELP_WIDTH)
    lines = [
        textwrap.fill(
            setting.help,
            width,
            initial_indent=f"  {setting.env:<20} ",
            subsequent_indent=" " * 23,
        )
        for setting in SETTINGS
        if setting.flag is None
    ]
    flags = textwrap.fill(
        "Each flag can also be set as DEVIN_MCP_<FLAG>, such as DEVIN_MCP_MAX_ACU=10. "
        "A flag on the command line has priority.",
        width,
        initial_indent="  ",
        subsequent_indent="  ",
    )
    return "\n".join(["environment:", *lines, flags])
