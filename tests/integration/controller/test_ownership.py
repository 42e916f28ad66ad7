"""Whose objects the operator touches: its own and the old operator's, never anybody else's."""

import asyncio
from typing import Any

from tests.parts.cluster import Cluster, Start, until

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
SERVICE = {
    "apiVersion": KNATIVE,
    "kind": "Service",
    "spec": {"template": {"spec": {"containers": [{"image": "somebody/else"}]}}},
}


def owned_by(agent: Any) -> dict[str, Any]:
    reference = {
        "apiVersion": "lambda.knative.io/v1alpha1",
        "kind": "LambdaAgent",
        "name": agent["metadata"]["name"],
        "uid": agent["metadata"]["uid"],
        "controller": True,
    }
    return {"ownerReferences": [reference]}


async def test_a_foreign_object_of_a_childs_name_is_left_alone_and_reported(cluster: Cluster, start: Start) -> None:
    foreign = cluster.rest.post(cluster.path(KNATIVE, "services"), SERVICE | {"metadata": {"name": "taken"}})
    await start()
    await asyncio.to_thread(cluster.apply, "taken", {})
    serving = await until(lambda: cluster.has("taken", "ServingReady", "False"))
    assert serving["reason"] == "NameTaken"
    assert "rename the agent or delete the object" in serving["message"]
    assert cluster.status("taken")["phase"] == "Failed"
    after = cluster.find(KNATIVE, "services", "taken")
    assert after["metadata"]["resourceVersion"] == foreign["metadata"]["resourceVersion"]


async def test_a_foreign_object_that_goes_makes_way(cluster: Cluster, start: Start) -> None:
    cluster.rest.post(cluster.path(KNATIVE, "services"), SERVICE | {"metadata": {"name": "freed"}})
    await start(resync_seconds=0.5)
    await asyncio.to_thread(cluster.apply, "freed", {})
    await until(lambda: cluster.has("freed", "ServingReady", "False"))
    cluster.rest.delete(cluster.path(KNATIVE, "services", "freed"))
    await until(
        lambda: (cluster.find(KNATIVE, "services", "freed") or {"metadata": {}})["metadata"].get("ownerReferences")
    )


async def test_children_of_the_old_operator_are_adopted_or_pruned(cluster: Cluster, start: Start) -> None:
    agent = cluster.apply("old", {"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    old = {"name": "old", **owned_by(agent), "labels": {"app.kubernetes.io/managed-by": "knative-lambda-operator"}}
    service = cluster.rest.post(cluster.path(KNATIVE, "services"), SERVICE | {"metadata": old})
    trigger = {
        "apiVersion": EVENTING,
        "kind": "Trigger",
        "metadata": {"name": "old-a-b", **owned_by(agent)},
        "spec": {
            "broker": "old-broker",
            "filter": {"attributes": {"type": "a.b"}},
            "subscriber": {"ref": {"apiVersion": KNATIVE, "kind": "Service", "name": "old"}},
        },
    }
    cluster.rest.post(cluster.path(EVENTING, "triggers"), trigger)
    await start()
    await until(lambda: cluster.find(EVENTING, "triggers", "old-a-b") is None)
    adopted = await until(lambda: _with_our_image(cluster))
    assert adopted["metadata"]["uid"] == service["metadata"]["uid"]


def _with_our_image(cluster: Cluster) -> Any:
    found = cluster.find(KNATIVE, "services", "old")
    image = found["spec"]["template"]["spec"]["containers"][0]["image"]
    return found if image == "example.com/agent:latest" else None


async def test_the_spec_is_never_written(cluster: Cluster, start: Start) -> None:
    await start()
    spec = {"eventing": {"enabled": False}, "behavior": {"emitEvents": False, "maxContextMessages": 0}}
    before = cluster.apply("kept", spec)["spec"]
    await until(lambda: cluster.has("kept", "SpecValid", "True"))
    agent = cluster.agent("kept")
    assert agent["spec"] == before
    assert agent["metadata"].get("annotations", {}) == {}


async def test_an_invalid_spec_is_named_and_touches_nothing(cluster: Cluster, start: Start) -> None:
    await start()
    # Valid for the CRD, but the operator's own rules know better: a rule the CRD of another release lacks.
    await asyncio.to_thread(cluster.apply, "once", {"image": {"repository": "example.com/agent", "tag": "v1"}})
    await until(lambda: cluster.find(KNATIVE, "services", "once"))
    crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/lambdaagents.lambda.knative.io"
    found = cluster.rest.get(crd)
    spec = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rules = spec["properties"]["scaling"].pop("x-kubernetes-validations")
    cluster.rest.put(crd, found)
    try:
        await until(lambda: _accepted(cluster))
        invalid = await until(lambda: cluster.has("once", "SpecValid", "False"))
        assert "minReplicas 9 is greater than maxReplicas 1" in invalid["message"]
        assert cluster.status("once")["phase"] == "Failed"
        annotations = cluster.find(KNATIVE, "services", "once")["spec"]["template"]["metadata"].get("annotations", {})
        assert "autoscaling.knative.dev/min-scale" not in annotations
    finally:
        found = cluster.rest.get(crd)
        spec = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"]["scaling"]["x-kubernetes-validations"] = rules
        cluster.rest.put(crd, found)


def _accepted(cluster: Cluster) -> bool:
    from tests.parts.rest import RestError

    try:
        cluster.apply("once", {"scaling": {"minReplicas": 9, "maxReplicas": 1}})
    except RestError:
        return False
    return True
