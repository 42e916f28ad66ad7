"""The ProtoJSON dialect of 0.3, compared with the old proto in the public SDK."""

from typing import Any

import pytest
from a2a.compat.v0_3 import a2a_v0_3_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

from lambdaagent.a2a import params, v03rest
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import TaskState

PARTS: list[dict[str, Any]] = [
    {"text": "hi", "metadata": {"k": "v"}},
    {"data": {"n": 1}},
    {"raw": "aGk=", "mediaType": "text/x", "filename": "f"},
    {"url": "https://x/y"},
]
OLD_PARTS: list[dict[str, Any]] = [
    {"text": "hi", "metadata": {"k": "v"}},
    {"data": {"data": {"n": 1}}},
    {"file": {"fileWithBytes": "aGk=", "mimeType": "text/x", "name": "f"}},
    {"file": {"fileWithUri": "https://x/y"}},
]


def task(state: TaskState = TaskState.CANCELED) -> dict[str, Any]:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": PARTS, "taskId": "t", "contextId": "c"}
    said = {"messageId": "n", "role": "ROLE_AGENT", "parts": [{"data": [1]}], "taskId": "t", "contextId": "c"}
    return {
        "id": "t",
        "contextId": "c",
        "status": {"state": str(state), "timestamp": "2026-01-01T00:00:00.000Z", "message": said},
        "history": [message],
        "artifacts": [{"artifactId": "a", "parts": PARTS}],
    }


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(lambda sent: sent, id="as the proto's JSON has it"),
        pytest.param(
            lambda sent: MessageToDict(ParseDict(sent, pb.SendMessageRequest()), preserving_proto_field_name=True),
            id="as the SDK sends it, in snake case",
        ),
    ],
)
def test_a_request_becomes_one_of_1_0(name: Any) -> None:
    sent = {
        "message": {"messageId": "m", "contextId": "c", "role": "ROLE_USER", "content": OLD_PARTS},
        "configuration": {
            "historyLength": 2,
            "blocking": True,
            "acceptedOutputModes": ["text/plain"],
            "pushNotification": {"url": "http://x", "authentication": {"schemes": ["Bearer"], "credentials": "s"}},
        },
    }
    found = params.send(v03rest.upgrade_send(name(sent)))
    assert found.message == {"messageId": "m", "contextId": "c", "role": "ROLE_USER", "parts": PARTS}
    assert (found.history_length, found.return_immediately, found.accepted_output_modes) == (2, False, ("text/plain",))
    assert found.push == PushConfig(url="http://x", scheme="Bearer", credentials="s")


def test_the_json_rpc_form_is_read_too() -> None:
    message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "x"}]}
    found = params.send(v03rest.upgrade_send({"message": message, "configuration": {"blocking": False}}))
    assert found.message["parts"] == [{"text": "x"}]
    assert found.return_immediately


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.UNSPECIFIED])
def test_a_task_is_what_the_old_proto_reads(state: TaskState) -> None:
    old = v03rest.downgrade_task(task(state))
    read = ParseDict(old, pb.Task())
    assert [MessageToDict(part) for part in read.artifacts[0].parts] == OLD_PARTS
    assert [MessageToDict(part) for part in read.history[0].content] == OLD_PARTS
    assert pb.TaskState.Name(read.status.state).replace("CANCELLED", "CANCELED") == state
    assert MessageToDict(read.status.update.content[0]) == {"data": {"data": {"value": [1]}}}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"task": task()}, "task"),
        ({"message": task()["history"][0]}, "msg"),
        ({"statusUpdate": {"taskId": "t", "contextId": "c", "status": task()["status"]}}, "status_update"),
        (
            {"artifactUpdate": {"taskId": "t", "contextId": "c", "artifact": task()["artifacts"][0], "append": True}},
            "artifact_update",
        ),
    ],
    ids=["a task", "a message", "a status", "an artifact"],
)
def test_an_event_is_what_the_old_proto_reads(event: dict[str, Any], kind: str) -> None:
    read = ParseDict(v03rest.downgrade_event(event, until_input=True), pb.StreamResponse())
    assert read.WhichOneof("payload") == kind
    if kind == "status_update":
        assert read.status_update.final


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda config: {"pushNotificationConfig": config}, id="by itself"),
        pytest.param(
            lambda config: {"parent": "tasks/t", "config": {"pushNotificationConfig": config}}, id="in its request"
        ),
        pytest.param(
            lambda config: {"config_id": "p", "config": {"push_notification_config": config}}, id="in snake case"
        ),
    ],
)
def test_a_push_configuration_goes_both_ways(wrap: Any) -> None:
    config = {"id": "p", "url": "http://x", "token": "t", "authentication": {"schemes": ["Bearer"], "credentials": "s"}}
    read = params.push.create(v03rest.upgrade_push({**wrap(config), "taskId": "t"}))
    assert read == PushConfig("http://x", "p", "t", "t", "Bearer", "s")
    old = v03rest.downgrade_push(read)
    assert old == {"name": "tasks/t/pushNotificationConfigs/p", "pushNotificationConfig": config}
    ParseDict(old, pb.TaskPushNotificationConfig())


@pytest.mark.parametrize("part", [{}, {"text": "x", "data": {}}, {"file": {}}, {"file": 1}, {"data": 7}])
def test_a_part_that_is_none_is_refused_by_name(part: dict[str, Any]) -> None:
    with pytest.raises(A2AError, match=r"message\.content\[0\]"):
        v03rest.upgrade_send({"message": {"content": [part]}})


def test_what_is_not_an_object_is_left_for_validation_to_name() -> None:
    for broken in ({"message": 7, "configuration": 8}, {"message": {"content": 7}}, {"message": {"content": [1]}}):
        with pytest.raises(A2AError):
            params.send(v03rest.upgrade_send(broken))
    with pytest.raises(A2AError):
        params.push.create(v03rest.upgrade_push({"config": 7, "taskId": "t"}))
