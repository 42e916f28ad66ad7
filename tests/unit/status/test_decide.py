"""Given the children, what is said: one table, the whole world in, conditions out."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lambdaagent.a2a import cards
from lambdaagent.api import agent as agents
from lambdaagent.api.validation import SpecProblem
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import Plan, plan
from lambdaagent.settings import Installation
from lambdaagent.status import decide
from lambdaagent.status.conditions import ApplyFailure, ChildKey, World

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INSTALLATION = Installation()
KSVC: ChildKey = ("serving.knative.dev/v1", "Service", "a")
DEPLOYED: dict[ChildKey, Any] = {
    ("apps/v1", "Deployment", "a"): {
        "kind": "Deployment",
        "metadata": {"name": "a", "generation": 1},
        "status": {"observedGeneration": 1, "updatedReplicas": 1}
        | {"conditions": [{"type": "Available", "status": "True"}]},
    }
}
BROKER: ChildKey = ("eventing.knative.dev/v1", "Broker", "lambdaagents")


def make(spec: dict[str, Any], **backends: Any) -> tuple[agents.LambdaAgent, Plan]:
    agent = agents.parse(
        {
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 3},
            "spec": {"image": {"repository": "r"}} | spec,
        }
    )
    return agent, plan(agent, installation=INSTALLATION, backends=Backends(**backends), observed=Observed())


def ready(kind: str = "True", *, generation: int = 1, observed: int = 1, **more: Any) -> dict[str, Any]:
    condition = {"type": "Ready", "status": kind, **more}
    return {
        "metadata": {"name": "x", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": [condition]},
    }


def said(
    made: Plan,
    agent: agents.LambdaAgent,
    live: dict[ChildKey, Any],
    previous: Any = None,
    *,
    spoke: bool = False,
    **world: Any,
) -> dict[str, Any]:
    named = {
        key: {"apiVersion": key[0], "kind": key[1], **obj, "metadata": obj["metadata"] | {"name": key[2]}}
        for key, obj in live.items()
    }
    return decide.status(
        agent,
        previous=previous or {},
        plan=made,
        world=World(named, **world),
        installation=INSTALLATION,
        now=NOW,
        dispatcher_spoke=spoke,
    )


def condition(status: dict[str, Any], kind: str) -> Any:
    return next((entry for entry in status["conditions"] if entry["type"] == kind), None)


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


def test_an_unchanged_condition_keeps_its_time_and_a_changed_one_gets_now() -> None:
    agent, made = make({})
    first = said(made, agent, {KSVC: ready()})
    old = {"conditions": [entry | {"lastTransitionTime": "2020-01-01T00:00:00Z"} for entry in first["conditions"]]}
    again = said(made, agent, {KSVC: ready()}, old)
    assert {entry["lastTransitionTime"] for entry in again["conditions"]} == {"2020-01-01T00:00:00Z"}
    failed = said(made, agent, {KSVC: ready("False")}, old)
    assert condition(failed, "ServingReady")["lastTransitionTime"] == "2026-01-02T03:04:05Z"
    assert condition(failed, "SpecValid")["lastTransitionTime"] == "2020-01-01T00:00:00Z"


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


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        pytest.param({"image": {"repository": "r", "tag": "v2"}}, "v2", id="tag"),
        pytest.param({"image": {"repository": "r", "digest": f"sha256:{'a' * 64}"}}, "a" * 12, id="digest"),
        pytest.param({"a2a": {"enabled": True, "version": "2.0.0"}}, "2.0.0", id="said"),
    ],
)
@pytest.mark.parametrize("backend", ["knative", "kubernetes"])
def test_the_version_is_that_of_what_serves(spec: dict[str, Any], version: str, backend: str) -> None:
    agent, made = make({"a2a": {"enabled": True}} | spec, serving=backend)
    up: dict[ChildKey, Any] = {KSVC: ready()} if backend == "knative" else DEPLOYED
    old: dict[ChildKey, Any] = {KSVC: ready(generation=2)}
    failing: dict[ChildKey, Any] = {KSVC: ready("False", reason="RevisionFailed", message="no image")}
    if backend == "kubernetes":
        (key, deployed) = next(iter(DEPLOYED.items()))
        old = {key: deployed | {"metadata": {"name": "a", "generation": 2}}}
        failing = {key: deployed | {"status": deployed["status"] | {"conditions": []}}}

    def reported(live: dict[ChildKey, Any], before: str | None) -> str | None:
        previous = {"a2aStatus": {"version": before}} if before else None
        found: str | None = said(made, agent, live, previous)["a2aStatus"].get("version")
        return found

    assert reported(up, None) == reported(up, "v1") == version
    for down in (old, failing, {}):
        assert reported(down, None) is None
        assert reported(down, "v1") == "v1"
    serving = agent.model_copy(update={"status": agents.AgentStatus(a2a_status=agents.A2aStatus(version="v1"))})
    assert (cards.version(agent), cards.version(serving)) == (version, "v1")


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


@pytest.mark.parametrize(
    ("scaling", "image", "serving", "status", "reason"),
    [
        pytest.param({"minReplicas": 1, "maxReplicas": 1}, "i:1", "knative", "True", "Served", id="one pod, always"),
        pytest.param({"minReplicas": 0, "maxReplicas": 1}, "i:1", "knative", "False", "TasksNotShared", id="to zero"),
        pytest.param({"minReplicas": 1, "maxReplicas": 3}, "i:1", "knative", "False", "TasksNotShared", id="several"),
        pytest.param(None, "i:1", "knative", "False", "TasksNotShared", id="as Knative sees fit"),
        pytest.param({"minReplicas": 1, "maxReplicas": 1}, "", "knative", "False", "NoGatewayImage", id="no image"),
        pytest.param(None, "i:1", "kubernetes", "True", "Served", id="a Deployment without an autoscaler"),
        pytest.param(
            {"minReplicas": 0, "maxReplicas": 1}, "i:1", "kubernetes", "True", "Served", id="which cannot go to zero"
        ),
    ],
)
def test_a_sidecar_serves_tasks_only_where_all_calls_reach_one_pod(
    scaling: Any, image: str, serving: Any, status: str, reason: str
) -> None:
    spec = {"a2a": {"enabled": True, "mode": "sidecar"}} | ({"scaling": scaling} if scaling else {})
    agent, made = make(spec, serving=serving)
    installation, world = Installation(gateway_image=image), World({KSVC: ready() | {"kind": "Service"}, **DEPLOYED})
    said = decide.status(agent, previous={}, plan=made, world=world, installation=installation, now=NOW)
    found = condition(said, "A2AReady")
    assert (found["status"], found["reason"]) == (status, reason)
    if image:
        assert said["a2aStatus"]["url"] == "http://a.n.svc.cluster.local"


def test_a_sidecar_in_several_pods_of_a_deployment_that_others_scale_shares_no_tasks() -> None:
    agent, made = make({"a2a": {"enabled": True, "mode": "sidecar"}}, serving="kubernetes")
    (key, deployment), installation = next(iter(DEPLOYED.items())), Installation(gateway_image="i:1")
    world = World({key: deployment | {"spec": {"replicas": 2}}})
    said = decide.status(agent, previous={}, plan=made, world=world, installation=installation, now=NOW)
    assert condition(said, "A2AReady")["reason"] == "TasksNotShared"


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


@pytest.mark.parametrize(("kind", "expected"), [("True", "True"), ("Unknown", "Unknown"), ("False", "False")])
def test_a_sidecar_serves_where_its_pods_do(kind: str, expected: str) -> None:
    installation = Installation(gateway_image="g")
    spec = {"a2a": {"enabled": True, "mode": "sidecar"}, "scaling": {"minReplicas": 1, "maxReplicas": 1}}
    agent = agents.parse({"metadata": {"name": "a", "namespace": "n"}, "spec": {"image": {"repository": "r"}} | spec})
    made = plan(agent, installation=installation, backends=Backends(), observed=Observed())
    world = World({KSVC: ready(kind, reason="Deploying") | {"kind": "Service"}})
    status = decide.status(agent, previous={}, plan=made, world=world, installation=installation, now=NOW)
    (a2a,) = [entry for entry in status["conditions"] if entry["type"] == "A2AReady"]
    assert a2a["status"] == expected


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
