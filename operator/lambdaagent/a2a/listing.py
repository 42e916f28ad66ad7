"""ListTasks: reads its parameters and writes a page (1.0 section 3.1.4)."""

from datetime import datetime
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.params import PAGE_SIZE, Find
from lambdaagent.a2a.protojson import Found, boolean, identifier, integer, renamed, text
from lambdaagent.a2a.states import TaskState, parse_state

_NAMES = {
    "context_id": "contextId",
    "page_size": "pageSize",
    "page_token": "pageToken",
    "history_length": "historyLength",
    "status_timestamp_after": "statusTimestampAfter",
    "include_artifacts": "includeArtifacts",
}
LARGEST_PAGE = 100


def find(params: Json) -> Find:
    """Return the query. Raises A2AError with every violation."""
    found: Found = []
    asked = renamed(params, _NAMES)
    size = integer(asked.get("pageSize"), found, at="pageSize", least=1, most=LARGEST_PAGE)
    query = Find(
        context_id=identifier(asked.get("contextId"), found, at="contextId", required=False) or None,
        state=_state(asked.get("status"), found),
        updated_from=_time(asked.get("statusTimestampAfter"), found),
        page_size=PAGE_SIZE if size is None else size,
        page_token=text(asked.get("pageToken"), found, at="pageToken"),
        history_length=integer(asked.get("historyLength"), found, at="historyLength"),
        include_artifacts=boolean(asked.get("includeArtifacts"), found, at="includeArtifacts"),
    )
    if found:
        raise invalid(*found)
    return query


def page(tasks: list[Json], *, size: int, total: int, next_token: str) -> Json:
    """Return a page. All four fields are always present; an empty token means the last page."""
    return {"tasks": tasks, "nextPageToken": next_token, "pageSize": size, "totalSize": total}


def _state(value: Any, found: Found) -> TaskState | None:
    # The JavaScript SDK writes a state that was not given as UNRECOGNIZED.
    if value in (None, "", "UNRECOGNIZED"):
        return None
    # In a query string the enum's number is text.
    number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 3
    state = parse_state(int(value) if number else value)
    if state is None:
        found.append(Violation("status", "must be a task state, such as TASK_STATE_WORKING"))
    return None if state is TaskState.UNSPECIFIED else state


def _time(value: Any, found: Found) -> float | None:
    if value in (None, ""):
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.timestamp()
    except (ValueError, TypeError, OverflowError):
        pass
    found.append(Violation("statusTimestampAfter", "must be a time with a time zone, such as 2026-01-31T12:00:00Z"))
    return None
