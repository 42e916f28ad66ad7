"""The status that follows from an agent and its children: phase, summary, times and transitions."""

from typing import Any

import pytest
from tests.parts.conditions import BROKER, KSVC, NOW, condition, make, ready, said

from lambdaagent.api.validation import SpecProblem
from lambdaagent.status import decide


def test_ready_names_everything_that_is_missing() -> None:
    agent, made = make({"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    message = condition(said(made, agent, {KSVC: ready("False", message="no image")}), "Ready")["message"]
    assert "ServingReady: Service a: no image" in message
    assert "EventingReady: RabbitmqBrokerConfig lambdaagents does not exist yet" in message


def test_conditions_without_a_subject_are_left_out() -> None:
    agent, made = make({})
    kinds = {entry["type"] for entry in said(made, agent, {KSVC: ready()})["conditions"]}
    assert kinds == {"Ready", "SpecValid", "ServingReady", "EventingReady"}


def test_what_informs_does_not_gate() -> None:
    forwards = [{"eventTypes": ["x"], "targetAgent": "none", "targetNamespace": "n"}]
    agent, made = make({"eventing": {"forwards": forwards}})
    live = {(*child.kind, child.name): ready() for child in made.children}
    status = said(made, agent, live)
    assert condition(status, "ForwardsResolved")["status"] == "False"
    assert condition(status, "Ready")["status"] == "True"


def test_an_unchanged_condition_keeps_its_time_and_a_changed_one_gets_now() -> None:
    agent, made = make({})
    first = said(made, agent, {KSVC: ready()})
    old = {"conditions": [entry | {"lastTransitionTime": "2020-01-01T00:00:00Z"} for entry in first["conditions"]]}
    again = said(made, agent, {KSVC: ready()}, old)
    assert {entry["lastTransitionTime"] for entry in again["conditions"]} == {"2020-01-01T00:00:00Z"}
    failed = said(made, agent, {KSVC: ready("False")}, old)
    assert condition(failed, "ServingReady")["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert condition(failed, "SpecValid")["lastTransitionTime"] == "2020-01-01T00:00:00Z"


def test_status_says_where_the_agent_is() -> None:
    spec = {
        "a2a": {"enabled": True},
        "ai": {"model": "m"},
        "permissions": {"disableBrokerCreation": True},
        "eventing": {},
    }
    agent, made = make(spec)
    ksvc = ready()
    ksvc["status"] |= {"address": {"url": "http://a.n.svc.cluster.local"}, "latestReadyRevisionName": "a-00001"}
    status = said(made, agent, {KSVC: ksvc, BROKER: ready() | {"status": {"address": {"url": "http://b"}}}})
    assert status["serviceStatus"]["url"] == "http://a.n.svc.cluster.local"
    assert status["eventingStatus"]["brokerUrl"] == "http://b"
    assert status["a2aStatus"]["cardUrl"] == "http://a-a2a.n.svc.cluster.local/.well-known/agent-card.json"
    assert status["aiStatus"] == {"provider": "ollama", "activeModel": "m"}
    assert status["permissionStatus"]["brokerCreationDisabled"] is True


def test_what_runs_on_is_still_told_while_the_spec_is_wrong() -> None:
    runs = {
        "serviceStatus": {"serviceName": "a", "url": "http://a", "ready": True},
        "eventingStatus": {"brokerName": "b"},
        "a2aStatus": {"url": "http://a-a2a", "version": "v1", "containerCard": {"path": "/c"}},
    }
    obj = {"metadata": {"generation": 2}, "status": runs | {"phase": "Ready", "warnings": [{"reason": "Old"}]}}
    status = decide.invalid(obj, [SpecProblem(("spec",), "wrong", "mend it")], now=NOW)
    assert {name: status[name] for name in runs} == runs
    assert status.keys() == {*runs, "phase", "observedGeneration", "conditions"}
    assert status["phase"] == "Failed"
    assert decide.invalid({"metadata": {}}, [], now=NOW).keys() == {"phase", "observedGeneration", "conditions"}


def told(kind: str, reason: str, phase: str, generation: int = 1) -> dict[str, Any]:
    condition = {"type": "Ready", "status": kind, "reason": reason, "message": reason}
    return {"phase": phase, "observedGeneration": generation, "conditions": [condition]}


READY = told("True", "Ready", "Ready")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        pytest.param(READY, told("False", "AwaitingController", "Deploying", 2), None, id="an edit is rolled out"),
        pytest.param(READY, told("False", "Deploying", "Deploying", 2), None, id="an edit, seen late"),
        pytest.param(READY, told("False", "AwaitingController", "Deploying"), None, id="a new release of the operator"),
        pytest.param(READY, told("False", "ImagePullBackOff", "Failed", 2), False, id="an edit that fails"),
        pytest.param(READY, told("False", "Deploying", "Deploying"), False, id="pods that are lost"),
        pytest.param(told("False", "Deploying", "Deploying", 2), READY, True, id="ready again"),
        pytest.param({}, told("False", "Deploying", "Deploying"), None, id="new"),
    ],
)
def test_an_edit_is_no_news_until_it_fails(before: Any, after: Any, kind: bool | None) -> None:
    transition = decide.transition(before, after)
    assert (transition.good if transition else None) is kind
