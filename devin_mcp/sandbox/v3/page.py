"""Pages, query parameters and times of v3 (v3.md §3)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any

from starlette.responses import JSONResponse

from devin_mcp.sandbox.request import SandboxRequest
from devin_mcp.sandbox.request_bodies import InvalidRequest, read_integer

DEFAULT_FIRST = 100
MAX_FIRST = 200


def page(request: SandboxRequest, rows: list[dict[str, Any]], id_field: str) -> JSONResponse:
    """One page of the rows. A cursor holds the id of a page's last row; the last page has none.

    With `sandbox:repeat-cursor`, a page that was read with a cursor returns this cursor again.
    """
    query = request.http.query_params
    first = read_integer(query, "first", DEFAULT_FIRST)
    if not 1 <= first <= MAX_FIRST:
        raise InvalidRequest("first", f"Input should be 1..{MAX_FIRST}", location="query")
    start = 0
    after = query.get("after")
    if after is not None:
        ids = [row[id_field] for row in rows]
        last_id = _decode(after)
        if last_id not in ids:
            raise InvalidRequest("after", "Invalid cursor", location="query")
        start = ids.index(last_id) + 1
    items = rows[start : start + first]
    has_next_page = start + first < len(rows)
    end_cursor = _encode(items[-1][id_field]) if has_next_page else None
    if after is not None and "repeat-cursor" in request.organization.words:
        end_cursor, has_next_page = after, True
    return JSONResponse(
        {
            "items": items,
            "end_cursor": end_cursor,
            "has_next_page": has_next_page,
            "total": len(rows),
        }
    )


def _encode(row_id: str) -> str:
    return urlsafe_b64encode(row_id.encode()).decode()


def _decode(cursor: str) -> str:
    try:
        return urlsafe_b64decode(cursor.encode()).decode()
    except ValueError:
        return ""


def read_boolean(request: SandboxRequest, name: str) -> bool | None:
    """A boolean of the query string; None without it. Raises InvalidRequest."""
    text = request.http.query_params.get(name)
    if text is None:
        return None
    if text not in {"true", "false"}:
        raise InvalidRequest(name, "Input should be a valid boolean", location="query")
    return text == "true"


def seconds(time: datetime | str) -> int:
    """A time, or its ISO text as v1 stores it, as Unix seconds (v3.md §1)."""
    return int((datetime.fromisoformat(time) if isinstance(time, str) else time).timestamp())
