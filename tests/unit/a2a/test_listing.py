from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v1

from lambdaagent.a2a import listing
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Find
from lambdaagent.a2a.states import TaskState


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        pytest.param({}, Find(), id="nothing said"),
        pytest.param(
            {
                "context_id": "c",
                "page_size": 7,
                "page_token": "p",
                "history_length": 0,
                "include_artifacts": True,
                "status": "TASK_STATE_WORKING",
                "status_timestamp_after": "1970-01-01T00:01:00Z",
            },
            Find("c", TaskState.WORKING, 60.0, 7, "p", 0, True),
            id="all, in snake case",
        ),
        pytest.param(
            {"pageSize": "100", "includeArtifacts": "true", "status": "2", "historyLength": "3", "contextId": ""},
            Find(None, TaskState.WORKING, None, 100, "", 3, True),
            id="as a query says it",
        ),
        pytest.param({"status": "TASK_STATE_UNSPECIFIED", "statusTimestampAfter": ""}, Find(), id="unset by value"),
        pytest.param(
            {"statusTimestampAfter": "1970-01-01T01:00:00.5+01:00"}, Find(updated_from=0.5), id="another zone"
        ),
    ],
)
def test_what_is_asked_for(params: dict[str, Any], expected: Find) -> None:
    assert listing.find(params) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pageSize", 0), ("pageSize", 101), ("pageSize", -1), ("pageSize", "x"), ("pageSize", 1.5),
        ("historyLength", -1), ("historyLength", True), ("status", "done"), ("status", "99"), ("status", []),
        ("statusTimestampAfter", "yesterday"), ("statusTimestampAfter", "2026-01-01T00:00:00"),
        ("statusTimestampAfter", 7), ("includeArtifacts", "yes"), ("contextId", 1), ("contextId", "a\0"),
        ("pageToken", 1),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(name: str, value: Any) -> None:
    with pytest.raises(A2AError) as raised:
        listing.find({name: value})
    assert raised.value.problem is Problem.INVALID_PARAMS
    assert [violation.field for violation in raised.value.violations] == [name]


def test_a_page_always_says_all_four() -> None:
    page = listing.page([], size=50, total=0, next_token="")
    assert page == {"tasks": [], "nextPageToken": "", "pageSize": 50, "totalSize": 0}
    check_v1("ListTasksResponse", page)
