from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v03, check_v1

from lambdaagent.a2a import push, v03
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.push import PushConfig

FULL = PushConfig("https://x/hook", "p", "t", "token", "Bearer", "secret")


@pytest.mark.parametrize(
    "config", [FULL, PushConfig("http://x", "p", "t"), PushConfig("http://x", "p", "t", credentials="c")]
)
def test_a_configuration_goes_both_ways_in_both_versions(config: PushConfig) -> None:
    shown = push.shown(config)
    check_v1("TaskPushNotificationConfig", shown)
    assert push.create(shown) == config
    old = v03.downgrade_push(config)
    check_v03("TaskPushNotificationConfig", old)
    assert push.create(v03.upgrade_push(old)) == config


def test_snake_case_and_null_are_understood() -> None:
    assert push.create({"task_id": "t", "url": "http://x", "token": None, "authentication": None}) == PushConfig(
        "http://x", task_id="t"
    )
    assert push.reference({"task_id": "t", "id": "p"}) == ("t", "p")
    assert push.reference(v03.upgrade_push_reference({"id": "t"}), whole=False) == ("t", "")


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"url": "http://x"}, "taskId"),
        ({"taskId": "t"}, "url"),
        ({"taskId": "t", "url": "ftp://x"}, "url"),
        ({"taskId": "t", "url": "http://"}, "url"),
        ({"taskId": "t", "url": "http://x:99999"}, "url"),
        ({"taskId": "t", "url": "http://[::"}, "url"),
        ({"taskId": "t", "url": "http://x/\n"}, "url"),
        ({"taskId": "t", "url": 7}, "url"),
        ({"taskId": "t", "url": "http://x", "token": "a\nb"}, "token"),
        ({"taskId": "t", "url": "http://x", "authentication": {"scheme": 1}}, "authentication.scheme"),
        ({"taskId": "t", "url": "http://x", "authentication": {"credentials": "ü"}}, "authentication.credentials"),
        ({"taskId": "t", "url": "http://x", "authentication": []}, "authentication"),
    ],
)
def test_what_could_never_be_called_is_refused_by_name(broken: dict[str, Any], field: str) -> None:
    with pytest.raises(A2AError) as raised:
        push.create(broken)
    assert field in [violation.field for violation in raised.value.violations]


@pytest.mark.parametrize("config", [7, [], {"authentication": 7}, {"authentication": {"schemes": 7}}, None])
def test_a_broken_configuration_of_0_3_is_refused(config: Any) -> None:
    with pytest.raises(A2AError):
        push.create(v03.upgrade_push({"taskId": "t", "pushNotificationConfig": config}))
