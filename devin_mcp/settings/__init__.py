"""Settings: each is declared once, with flag, environment variable, default, parser and help."""

from devin_mcp.settings.resolve import resolve, sources
from devin_mcp.settings.server_settings import CALL_DEADLINE_SECONDS
from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import SETTINGS, Settings

__all__ = [
    "CALL_DEADLINE_SECONDS",
    "SETTINGS",
    "Settings",
    "SettingsError",
    "resolve",
    "sources",
]
