from typing import Any

import orjson
import pytest

from lambdaagent.api.agent import parse
from lambdaagent.api.skills import Skill
from lambdaagent.containers import requests
from lambdaagent.containers.callee import Callee, callee, timeout
from lambdaagent.events.cloudevents import Event

TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def made(protocol: str = "cloudevents", **more: Any) -> Callee:
    skills = [
        {"id": "plain", "name": "Plain"},
        {
            "id": "typed",
            "name": "T",
            "invoke": {"eventType": "my.type", "textField": "prompt", "path": "/mine", "timeoutSeconds": 7},
        },
        {"id": "async", "name": "A", "invoke": {"mode": "async"}},
    ]
    spec = {"image": {"repository": "r"}, "a2a": {"enabled": True, "protocol": protocol, "skills": skills}, **more}
    return callee(parse({"metadata": {"name": "cart", "namespace": "shop"}, "spec": spec}), target=None)


def headers_of(call: requests.ContainerRequest) -> dict[str, str]:
    fixed = [line.partition(": ") for line in call.fixed.splitlines()]
    return {**{name: value for name, _, value in fixed}, **dict(call.headers)}


def sent(called: Callee, skill: Skill | None, message: dict[str, Any] | None = None) -> tuple[str, dict[str, str], Any]:
    call = requests.for_message(
        called,
        skill=skill,
        message=message
        or {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "a"}, {"url": "u"}, {"text": "b"}]},
        task_id="t-1",
        context_id="c ü\r\n",
        event_id="e-1",
        traceparent=TRACE,
    )
    return call.path, headers_of(call), orjson.loads(call.body)


def test_a_message_is_a_binary_event_with_the_tasks_ids() -> None:
    called = made()
    path, headers, body = sent(called, called.skills["plain"])
    assert path == "/"
    assert headers.pop("accept").startswith("application/a2a+json")
    assert headers.pop("accept-encoding") == "identity"
    assert headers == {
        "ce-specversion": "1.0",
        "ce-id": "e-1",
        "ce-source": "/a2a/shop/cart",
        "ce-type": "io.knative.lambda.invoke.sync",
        "ce-subject": "plain",
        "ce-a2ataskid": "t-1",
        "ce-a2acontextid": "c%20%C3%BC%0D%0A",
        "ce-a2askillid": "plain",
        "ce-a2aagent": "cart",
        "ce-traceparent": TRACE,
        "traceparent": TRACE,
        "content-type": "application/json",
    }
    assert body["text"] == "a\nb"
    assert body["skill"] == "plain"
    assert body["message"]["messageId"] == "m"


def test_one_data_part_goes_as_that_json() -> None:
    called = made()
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"data": {"n": 2**53 + 1}}]}
    assert sent(called, called.skills["typed"], message)[2] == {"n": 2**53 + 1}


def test_a_skill_may_name_the_type_and_the_text_field() -> None:
    called = made()
    _, headers, body = sent(called, called.skills["typed"])
    assert headers["ce-type"] == "my.type"
    assert body.keys() == {"prompt", "message", "skill"}
    assert timeout(called.skills["typed"]) == 7


def test_without_a_skill_there_is_no_subject_and_an_async_one_has_its_type() -> None:
    called = made()
    _, headers, body = sent(called, None)
    assert "ce-subject" not in headers
    assert "ce-a2askillid" not in headers
    assert body["skill"] is None
    assert sent(called, called.skills["async"])[1]["ce-type"] == "io.knative.lambda.invoke.async"
    assert timeout(None) == 300


@pytest.mark.parametrize(
    ("skill", "path"), [("plain", "/api/a2a/skills/plain"), ("typed", "/mine"), (None, "/api/a2a")]
)
def test_over_plain_http_the_path_is_the_skills_and_the_ids_are_headers(skill: str | None, path: str) -> None:
    called = made("http")
    got, headers, _ = sent(called, called.skills[skill] if skill else None)
    assert got == path
    assert (headers["A2A-Task-Id"], headers["A2A-Context-Id"]) == ("t-1", "c%20%C3%BC%0D%0A")
    assert not any(name.startswith("ce-") for name in headers)


@pytest.mark.parametrize("protocol", ["cloudevents", "http"])
def test_a_direct_call_has_the_callers_content_type_and_the_ids_of_the_task_that_it_may_become(protocol: str) -> None:
    called = made(protocol)

    def headers(content_type: str | None) -> dict[str, str]:
        call = requests.for_direct(
            called,
            skill=called.skills["plain"],
            event_id="e",
            content_type=content_type,
            traceparent=None,
            task_id="t",
            context_id="c",
        )
        return {name.lower(): value for name, value in headers_of(call).items()}

    found = headers("audio/x")
    names = ("a2a-task-id", "a2a-context-id") if protocol == "http" else ("ce-a2ataskid", "ce-a2acontextid")
    assert [found[name] for name in names] == ["t", "c"]
    assert found["content-type"] == "audio/x"
    assert "content-type" not in headers(None)


def test_a_triggers_event_goes_as_it_is() -> None:
    call = requests.for_event(Event(id="1", source="/s", type="t", data=b"\x00", datacontenttype="x/y"))
    assert (call.path, call.body, dict(call.headers)["content-type"]) == ("/", b"\x00", "x/y")


def test_an_agent_knows_whom_it_forwards_to() -> None:
    forwards = [{"eventTypes": ["t"], "targetAgent": "till", "targetNamespace": "bank"}]
    assert made(eventing={"forwards": forwards}).forwards == {("bank", "till")}
