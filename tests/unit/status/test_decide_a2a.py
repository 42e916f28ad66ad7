"""The condition A2AReady and the version in status."""

from typing import Any

import pytest
from tests.parts.conditions import DEPLOYED, KSVC, NOW, condition, make, ready, said

from lambdaagent.a2a import cards
from lambdaagent.api import agent as agents
from lambdaagent.children.base import Backends, Observed
from lambdaagent.children.plan import plan
from lambdaagent.settings import Installation
from lambdaagent.status import decide
from lambdaagent.status.conditions import ChildKey, World


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
