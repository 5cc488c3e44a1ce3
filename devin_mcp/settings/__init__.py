"""Settings: each is declared once, with flag, environment variable, default, parser and help."""

from devin_mcp.settings.resolve import resolve, sources
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import (
    CALL_DEADLINE_SECONDS,
    SETTINGS,
    TOOLSETS,
    Settings,
    Toolset,
)

__all__ = [
    "CALL_DEADLINE_SECONDS",
    "SETTINGS",
    "TOOLSETS",
    "Settings",
    "SettingsError",
    "Toolset",
    "resolve",
    "sources",
]
