"""Garbage collection of a server process. Each collection stops all calls while it looks around."""

from __future__ import annotations

import gc

COLLECT_AFTER_OBJECTS = 10_000
"""New objects until the youngest are looked through; Python's own number is 700 or 2,000. A call
makes thousands, nearly all of which end with it: collections were 4 % of its processor time.
"""


def freeze_loaded_objects() -> None:
    """What was loaded is never garbage. A full collection would look through it, for 70 ms."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS)
    gc.enable()  # the command line has disabled it while modules were loaded
