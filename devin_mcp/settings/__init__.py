"""Settings: each is declared once, with flag, environment variable, default, parser and help."""

from devin_mcp.settings.setting import SettingsError
from devin_mcp.settings.settings import SETTINGS, TOOLSETS, Settings, Toolset, resolve

__all__ = ["SETTINGS", "TOOLSETS", "Settings", "SettingsError", "Toolset", "resolve"]
