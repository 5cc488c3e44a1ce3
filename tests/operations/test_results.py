"""Results that do not fit their limit."""

from __future__ import annotations

import pytest

from tests.conftest import Connect
from tests.upstream import Upstream

pytestmark = pytest.mark.usefixtures("api")


async def test_completed_write_is_no_error_because_of_its_length(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect(result_limit=2000) as client:
        created = await client.ok("create_knowledge", name="n" * 400, body="b", trigger="t" * 4000)
        assert created["note_id"] in upstream.organization.notes
        session_id = await client.create_session()
        await client.ok(
            "update_session_tags",
            session_id=session_id,
            tags=[f"{number}-{'x' * 200}" for number in range(50)],
        )
