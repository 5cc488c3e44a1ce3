"""Which tests are measured for coverage: measuring takes a third of the time of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from coverage import Coverage

ROOT = Path(__file__).parent
UNMEASURED = (
    "apps/",
    "conventions/",
    "docs/",
    "e2e/",
    "operations/test_many_writes.py",
    "server/http/test_event_loop.py",
    "server/http/test_isolation.py",
    "server/http/test_made_up_keys.py",
    "server/http/test_memory.py",
)
"""Tests with much load, or of processes: other tests run the same code."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """In a worker, stop the measurements that coverage and pytest-cov began before the session.

    They would go on below that of the session, also in tests that are not measured. What is only
    imported is measured in the main process, too.
    """
    if hasattr(session.config, "workerinput"):
        while (earlier := Coverage.current()) is not None:
            earlier.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Do not measure where it shows nothing new: a test that runs in both eras, or on both APIs, is
    measured in one, and one with many parameters with the first of them.
    """
    measured = set[str]()
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        test = item.nodeid.split("[")[0]
        if path.startswith(UNMEASURED) or _is_second_run(item) or test in measured:
            item.add_marker("no_cover")
        else:
            measured.add(test)


def _is_second_run(item: pytest.Item) -> bool:
    """Tests that run on one API alone are measured on that."""
    parameters = getattr(item, "callspec", None)
    if parameters is None:
        return False
    is_on_both = item.get_closest_marker("one_api") is None
    return parameters.params.get("era") == "legacy" or (
        is_on_both and parameters.params.get("api") == "v1"
    )
