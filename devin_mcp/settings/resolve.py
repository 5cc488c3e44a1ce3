"""Resolves the settings at start: flags win over variables, variables over defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from devin_mcp.settings.environment import process_environment
from devin_mcp.settings.setting import read_values, sources_of
from devin_mcp.settings.settings import SETTINGS, Settings


def resolve(
    flags: Mapping[str, Sequence[str]], environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings from the flags (name of the setting -> texts) and the environment.

    Raises SettingsError for a wrong value and for an unknown DEVIN_MCP_ variable.
    """
    environ = process_environment() if environ is None else environ
    return Settings(**read_values(SETTINGS, flags, environ))


def sources(flags: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Where each setting that is not a default comes from: name -> "flag" or "environment"."""
    return sources_of(SETTINGS, flags, process_environment())
