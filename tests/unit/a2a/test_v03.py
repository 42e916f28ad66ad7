from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v03, check_v1

from lambdaagent.a2a import params, v03
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import TaskState, parse_role, parse_state

PARTS = [
    pytest.param(
        {"text": "hi", "metadata": {"snake_case": 1}},
        {"kind": "text", "text": "hi", "metadata": {"snake_case": 1}},
        id="text",
    ),
    pytest.param({"data": {"n": 2**53 + 1}}, {"kind": "data", "data": {"n": 2**53 + 1}}, id="data"),
    pytest.param(
        {"raw": "aGk=", "mediaType": "text/x", "filename": "f"},
        {"kind": "file", "file": {"bytes": "aGk=", "mimeType": "text/x", "name": "f"}},
        id="bytes",
    ),
    pytest.param({"url": "https://x/y"}, {"kind": "file", "file": {"uri": "https://x/y"}}, id="uri"),
]


@pytest.mark.parametrize(("new", "old"), PARTS)
def test_parts_go_both_ways(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert v03.downgrade_part(new) == old
    assert v03.upgrade_part(old, at="p") == new
    check_v1("Part", new)
    check_v03("Part", old)


@pytest.mark.parametrize("data", [None, 7, "x", [1]])
def test_data_that_0_3_cannot_hold_is_wrapped(data: Any) -> None:
    old = v03.downgrade_part({"data": data})
    assert old["data"] == {"value": data}
    check_v03("Part", old)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"text": "hi"}, id="no kind"),
        pytest.param({"kind": "file", "file": {}}, id="an empty file"),
        pytest.param({"kind": "file", "file": {"bytes": "", "uri": ""}}, id="bytes and uri"),
        pytest.param({"kind": "file", "file": 1}, id="a file that is a number"),
    ],
)
def test_a_part_of_no_kind_is_refused_by_name(part: dict[str, Any]) -> None:
    with pytest.raises(A2AError, match=r"message\.parts\[0\]"):
        v03.upgrade_send({"message": {"parts": [part]}})


def test_what_is_not_an_object_is_left_for_validation_to_name() -> None:
    assert v03.upgrade_send({"message": {"parts": [1], "role": "x"}})["message"]["parts"] == [1]
    assert v03.upgrade_send({"message": 7, "configuration": 8}) == {"message": 7, "configuration": 8}


def test_configuration_is_inverted_and_push_renamed() -> None:
    configuration = {"blocking": False, "pushNotificationConfig": {"url": "u"}, "historyLength": 2}
    upgraded = v03.upgrade_send({"message": {}, "configuration": configuration})["configuration"]
    assert upgraded == {"returnImmediately": True, "taskPushNotificationConfig": {"url": "u"}, "historyLength": 2}


def test_a_whole_task_is_what_both_schemas_say() -> None:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "taskId": "t", "contextId": "c"}
    answer = {**message, "role": "ROLE_AGENT"}
    task = {
        "id": "t",
        "contextId": "c",
        "status": {"state": "TASK_STATE_INPUT_REQUIRED", "timestamp": "2026-01-01T00:00:00.000Z", "message": answer},
        "history": [message],
        "artifacts": [{"artifactId": "a", "parts": [part.values[0] for part in PARTS]}],
    }
    check_v1("Task", task)
    old = v03.downgrade_task(task)
    check_v03("Task", old)
    assert old["status"]["state"] == "input-required"
    assert old["status"]["message"]["role"] == "agent"


def test_a_0_3_message_passes_the_1_0_checks_after_its_upgrade() -> None:
    old = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "x"}], "future": 1}
    sent = params.send(v03.upgrade_send({"message": old}))
    assert sent.message == {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}], "future": 1}


@pytest.mark.parametrize("state", list(TaskState))
def test_every_spelling_of_a_state_is_understood(state: TaskState) -> None:
    assert parse_state(str(state)) is state
    assert parse_state(state.v03) is state
    assert parse_state(list(TaskState).index(state)) is state


def test_what_is_no_state_or_role_is_none() -> None:
    assert parse_state("TASK_STATE_CANCELLED") is TaskState.CANCELED
    assert [parse_state(value) for value in (True, None, "done", 99, [])] == [None] * 5
    assert [parse_role(value) for value in (True, None, "x", 3)] == [None] * 4
