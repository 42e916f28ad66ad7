from typing import Any

import pytest

from lambdaagent.a2a import params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.versions import Version

MESSAGE: dict[str, Any] = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}


def test_snake_case_is_renamed_where_the_protocol_defines_it_and_nowhere_else() -> None:
    sent = params.send(
        {
            "message": {
                "message_id": "m",
                "context_id": "c",
                "task_id": "t",
                "role": 1,
                "parts": [{"raw": "aGk", "media_type": "x/y"}, {"data": {"media_type": 1}}],
                "metadata": {"task_id": "mine"},
            },
            "configuration": {
                "return_immediately": True,
                "history_length": "3",
                "accepted_output_modes": ["text/plain"],
            },
        }
    )
    assert sent.message == {
        "messageId": "m",
        "contextId": "c",
        "taskId": "t",
        "role": "ROLE_USER",
        "parts": [{"raw": "aGk", "mediaType": "x/y"}, {"data": {"media_type": 1}}],
        "metadata": {"task_id": "mine"},
    }
    assert (sent.return_immediately, sent.history_length, sent.accepted_output_modes) == (True, 3, ("text/plain",))
    assert params.get({"id": "t", "history_length": 0}) == params.Get("t", 0)


def test_unknown_fields_and_null_data_are_kept_and_empty_ids_are_unset() -> None:
    sent = params.send(
        {"message": {**MESSAGE, "contextId": "", "taskId": None, "future": [1], "parts": [{"data": None, "new": 1}]}}
    )
    assert sent.message == {**MESSAGE, "future": [1], "parts": [{"data": None, "new": 1}]}


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        pytest.param({"message": None}, "message", id="no message"),
        pytest.param({"message": {**MESSAGE, "messageId": ""}}, "message.messageId", id="an empty message id"),
        pytest.param({"message": {**MESSAGE, "role": "boss"}}, "message.role", id="an unknown role"),
        pytest.param({"message": {**MESSAGE, "parts": []}}, "message.parts", id="no part"),
        pytest.param({"message": {**MESSAGE, "parts": ["x"]}}, "message.parts[0]", id="a part that is a string"),
        pytest.param(
            {"message": {**MESSAGE, "parts": [{"text": "x", "url": "u"}]}}, "message.parts[0]", id="two contents"
        ),
        pytest.param(
            {"message": {**MESSAGE, "parts": [{"text": 1}]}}, "message.parts[0].text", id="a text that is a number"
        ),
        pytest.param(
            {"message": {**MESSAGE, "parts": [{"raw": "?"}]}}, "message.parts[0].raw", id="raw that is not base64"
        ),
        pytest.param({"message": {**MESSAGE, "contextId": 1}}, "message.contextId", id="a context id that is a number"),
        pytest.param({"message": {**MESSAGE, "taskId": "x" * 2000}}, "message.taskId", id="a task id without end"),
        pytest.param({"message": {**MESSAGE, "taskId": "a\0b"}}, "message.taskId", id="a task id with NUL"),
        pytest.param({"message": {**MESSAGE, "extensions": "x"}}, "message.extensions", id="extensions as a text"),
        pytest.param(
            {"message": {**MESSAGE, "parts": [{"text": "x", "filename": 1}]}}, "message.parts[0].filename", id="a name"
        ),
        pytest.param(
            {"message": {**MESSAGE, "parts": [{"text": "x", "metadata": []}]}}, "message.parts[0].metadata", id="a list"
        ),
        pytest.param(
            {"message": MESSAGE, "configuration": {"taskPushNotificationConfig": {"url": "ftp://x"}}},
            "configuration.taskPushNotificationConfig.url",
            id="a receiver that is no http URL",
        ),
        pytest.param({"message": {**MESSAGE, "metadata": 1}}, "message.metadata", id="metadata that is a number"),
        pytest.param({"message": MESSAGE, "configuration": 1}, "configuration", id="a configuration that is a number"),
        pytest.param(
            {"message": MESSAGE, "configuration": {"historyLength": -1}},
            "configuration.historyLength",
            id="a negative length",
        ),
        pytest.param(
            {"message": MESSAGE, "configuration": {"historyLength": True}},
            "configuration.historyLength",
            id="a length that is true",
        ),
        pytest.param(
            {"message": MESSAGE, "configuration": {"returnImmediately": "yes"}},
            "configuration.returnImmediately",
            id="a yes",
        ),
        pytest.param(
            {"message": MESSAGE, "configuration": {"acceptedOutputModes": [1]}},
            "configuration.acceptedOutputModes",
            id="modes",
        ),
    ],
)
def test_each_violation_names_its_field(broken: dict[str, Any], field: str) -> None:
    with pytest.raises(A2AError) as raised:
        params.send(broken)
    assert raised.value.problem is Problem.INVALID_PARAMS
    assert field in [violation.field for violation in raised.value.violations]


def test_all_violations_are_told_at_once() -> None:
    with pytest.raises(A2AError) as raised:
        params.send({"message": {"parts": []}})
    assert [violation.field for violation in raised.value.violations] == [
        "message.messageId",
        "message.role",
        "message.parts",
    ]
    assert [detail["@type"].rpartition(".")[2] for detail in raised.value.details()] == ["ErrorInfo", "BadRequest"]


def test_an_inline_push_configuration_comes_with_the_message() -> None:
    config = {"url": "http://x", "id": "p", "authentication": {"scheme": "Bearer", "credentials": "c"}}
    sent = params.send(
        {"message": MESSAGE, "configuration": {"task_push_notification_config": config}}, wire=Version.V03
    )
    assert sent.push == PushConfig(url="http://x", id="p", scheme="Bearer", credentials="c")
    assert sent.wire is Version.V03
    assert params.send({"message": MESSAGE, "configuration": {"taskPushNotificationConfig": {}}}).push is None


def test_null_is_unset_but_for_data() -> None:
    parts = [{"text": "x", "url": None, "data": None, "metadata": None}, {"data": None}]
    sent = params.send({"message": {**MESSAGE, "parts": parts, "metadata": None}, "configuration": None})
    assert sent.message == {**MESSAGE, "parts": [{"text": "x"}, {"data": None}]}


@pytest.mark.parametrize("broken", [{}, {"id": ""}, {"id": 1}, {"id": "t", "historyLength": "x"}])
def test_a_get_without_a_proper_id_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(A2AError):
        params.get(broken)
