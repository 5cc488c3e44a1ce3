"""The process's limit of open file descriptors, of which every connection needs one."""

from __future__ import annotations

import math
import sys
from contextlib import suppress


def descriptor_limit() -> float:
    """How many may be open; infinite on Windows, which has no such limit."""
    if sys.platform == "win32":
        return math.inf
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if limit == resource.RLIM_INFINITY else limit


def raise_descriptor_limit() -> None:
    """Allow as many as the system does."""
    if sys.platform == "win32":
        return
    import resource

    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS refuses its own "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))
