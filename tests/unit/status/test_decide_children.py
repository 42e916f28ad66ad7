"""The conditions ServingReady and EventingReady: they follow what the children report."""

from typing import Any

import pytest
from tests.parts.conditions import BROKER, INSTALLATION, KSVC, NOW, condition, make, ready, said

from lambdaagent.status import decide
from lambdaagent.status.conditions import ApplyFailure, World


@pytest.mark.parametrize(
    ("live", "serving", "reason", "phase"),
    [
        pytest.param(ready(), "True", "Ready", "Ready", id="ready"),
        pytest.param(
            ready(observed=1, generation=2),
            "Unknown",
            "AwaitingController",
            "Deploying",
            id="report of an older generation",
        ),
        pytest.param(
            ready("False", reason="RevisionFailed", message="image not found"),
            "False",
            "RevisionFailed",
            "Failed",
            id="failed",
        ),
        pytest.param(ready("Unknown", reason="Deploying"), "Unknown", "Deploying", "Deploying", id="under way"),
        pytest.param(
            {"metadata": {"generation": 1}}, "Unknown", "AwaitingController", "Deploying", id="no status at all"
        ),
        pytest.param(None, "Unknown", "NotCreated", "Deploying", id="no Service"),
    ],
)
def test_serving_follows_the_knative_service(live: Any, serving: str, reason: str, phase: str) -> None:
    agent, made = make({})
    status = said(made, agent, {KSVC: live} if live else {})
    found = condition(status, "ServingReady")
    assert (found["status"], found["reason"], status["phase"]) == (serving, reason, phase)
    assert condition(status, "Ready")["status"] == ("True" if serving == "True" else "False")


def test_the_dispatchers_condition_is_taken_over_and_not_written() -> None:
    agent, made = make({"eventing": {}}, eventing="rabbitmq")
    waiting = said(made, agent, {KSVC: ready()})
    assert condition(waiting, "EventingReady") is None
    assert condition(waiting, "Ready")["reason"] == "AwaitingDispatcher"
    previous = {"conditions": [{"type": "EventingReady", "status": "True", "reason": "Bound"}]}
    still = said(made, agent, {KSVC: ready()}, previous)
    assert condition(still, "Ready")["reason"] == "AwaitingDispatcher", "what the operator said under another backend"
    spoken = said(made, agent, {KSVC: ready()}, previous, spoke=True)
    assert condition(spoken, "Ready")["status"] == "True"


@pytest.mark.parametrize(("permanent", "phase"), [(True, "Failed"), (False, "Failed")], ids=["permanent", "temporary"])
def test_a_child_that_cannot_be_applied_is_named_with_its_cause(permanent: bool, phase: str) -> None:
    agent, made = make({})
    failures = {KSVC: ApplyFailure("Invalid", "quota exceeded", permanent)}
    status = said(made, agent, {}, failures=failures)
    assert condition(status, "ServingReady")["message"] == "Service a: quota exceeded"
    assert status["phase"] == phase


def test_many_causes_are_summed_up() -> None:
    subscriptions = [{"eventType": f"type.{number}"} for number in range(9)]
    agent, made = make({"eventing": {"subscriptions": subscriptions}})
    assert condition(said(made, agent, {}), "EventingReady")["message"].endswith("and 6 more")


def test_the_cause_is_looked_for_where_ready_gives_none() -> None:
    agent, made = make({})
    live = ready("False")
    live["status"]["conditions"].append(
        {"type": "RoutesReady", "status": "False", "reason": "RevisionMissing", "message": "no revision"}
    )
    assert condition(said(made, agent, {KSVC: live}), "ServingReady")["reason"] == "RevisionMissing"


@pytest.mark.parametrize(
    ("status", "expected", "reason"),
    [
        pytest.param(
            {"conditions": [{"type": "Available", "status": "True"}], "updatedReplicas": 1},
            "True",
            "Ready",
            id="available",
        ),
        pytest.param({"conditions": []}, "Unknown", "Deploying", id="no pod yet"),
        pytest.param(
            {
                "conditions": [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "ProgressDeadlineExceeded",
                        "message": "too slow",
                    }
                ]
            },
            "False",
            "ProgressDeadlineExceeded",
            id="stuck",
        ),
        pytest.param(
            {
                "conditions": [
                    {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}
                ]
            },
            "False",
            "FailedCreate",
            id="refused by quota",
        ),
    ],
)
def test_serving_follows_the_deployment_on_plain_kubernetes(status: Any, expected: str, reason: str) -> None:
    agent, made = make({}, serving="kubernetes", eventing="none")
    live = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": {"observedGeneration": 2, **status}}
    found = condition(said(made, agent, {("apps/v1", "Deployment", "a"): live}), "ServingReady")
    assert (found["status"], found["reason"]) == (expected, reason)


@pytest.mark.parametrize("serving", ["kubernetes", "knative"])
def test_events_without_a_backend_fail_the_agent_and_both_remedies_are_named(serving: str) -> None:
    live = {KSVC: ready() | {"kind": "Service"}}
    agent, made = make({"eventing": {}}, eventing="none", serving=serving)
    status = decide.status(agent, previous={}, plan=made, world=World(live), installation=INSTALLATION, now=NOW)
    assert status["phase"] == "Failed"
    (eventing,) = [entry for entry in status["conditions"] if entry["type"] == "EventingReady"]
    assert "Knative Eventing" in eventing["message"]
    assert "dispatcher.enabled=true" in eventing["message"]


@pytest.mark.parametrize("reason", ["ExchangeFailure", "QueueFailure", "BindingFailure"])
def test_what_the_topology_operator_has_to_do_names_it(reason: str) -> None:
    agent, made = make({"eventing": {}})
    broker = ready("False", reason=reason, message="exchange b.x is not ready") | {"kind": "Broker"}
    world = World({KSVC: ready() | {"kind": "Service"}, BROKER: broker})
    status = decide.status(agent, previous={}, plan=made, world=world, installation=INSTALLATION, now=NOW)
    (eventing,) = [entry for entry in status["conditions"] if entry["type"] == "EventingReady"]
    assert "check that RabbitMQ's messaging topology operator runs" in eventing["message"]
