"""Reports of pods, Revisions and RabbitMQ's operator about a failure: status names the cause while it lasts."""

import asyncio
from typing import Any

from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative import mark_failed, mark_ready

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
KEYS = {"revision": "serving.knative.dev/revision", "hash": "pod-template-hash"}
STARTED = {"phase": "Pending", "containerStatuses": []}


def pod_of(cluster: Cluster, name: str, template: dict[str, Any], status: dict[str, Any], **labels: str) -> str:
    """Creates a pod as a ReplicaSet would, with this status as of the kubelet; returns the path of the status."""
    of = {KEYS[key]: value for key, value in labels.items()}
    spec = template["spec"] | {"containers": [{"name": "user-container", "image": "r/a:1"}], "restartPolicy": "Always"}
    spec.pop("serviceAccountName", None)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": template["metadata"]["labels"] | of}}
    cluster.rest.post(cluster.path("v1", "pods"), pod | {"spec": spec})
    path = cluster.path("v1", "pods", name) + "/status"
    cluster.rest.merge(path, {"status": status})
    return path


def waiting(reason: str, message: str) -> dict[str, Any]:
    container = {"name": "user-container", "image": "r/a:1", "imageID": "", "ready": False, "restartCount": 0}
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [container | {"state": state}]}


def report(cluster: Cluster, name: str, **status: Any) -> None:
    """Writes the status of a Deployment as its controller would."""
    path = cluster.path("apps/v1", "deployments", name)
    generation = cluster.rest.get(path)["metadata"]["generation"]
    cluster.rest.merge(f"{path}/status", {"status": {"observedGeneration": generation} | status})


async def test_a_missing_secret_is_named_and_forgotten_when_the_pod_runs(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "poor", {})
    deployment = await until(lambda: cluster.find("apps/v1", "deployments", "poor"))
    report(cluster, "poor", replicas=1, updatedReplicas=1, unavailableReplicas=1)
    template = deployment["spec"]["template"]
    path = pod_of(cluster, "poor-1", template, waiting("CreateContainerConfigError", 'secret "redis" not found'))
    said = await until(lambda: cluster.because("poor", "ServingReady", "CreateContainerConfigError"))
    assert said["status"] == "False"
    assert 'Deployment poor: secret "redis" not found; create it in the agent' in said["message"]
    assert cluster.status("poor")["phase"] == "Failed"
    assert cluster.because("poor", "Ready", "CreateContainerConfigError")

    cluster.rest.merge(path, {"status": waiting("ContainerCreating", "")})
    await until(lambda: cluster.because("poor", "ServingReady", "Deploying"))
    available = {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}
    report(cluster, "poor", replicas=1, updatedReplicas=1, readyReplicas=1, availableReplicas=1, conditions=[available])
    await until(lambda: cluster.has("poor", "Ready", "True"))


async def test_the_last_good_version_serves_while_the_new_ones_image_is_missing(cluster: Cluster, start: Start) -> None:
    await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "rolling", {})
    service = await until(lambda: cluster.find(KNATIVE, "services", "rolling"))
    mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name="rolling")
    await until(lambda: cluster.has("rolling", "Ready", "True"))

    await asyncio.to_thread(cluster.apply, "rolling", {"image": {"repository": "example.com/agent", "tag": "typo"}})
    await until(lambda: cluster.has("rolling", "Ready", "False"))
    template = service["spec"]["template"]
    path = cluster.path(KNATIVE, "services", "rolling")
    generation = cluster.rest.get(path)["metadata"]["generation"]
    deploying = {"type": "Ready", "status": "Unknown", "reason": "Deploying"}
    status = {"observedGeneration": generation, "latestCreatedRevisionName": "rolling-00002", "conditions": [deploying]}
    cluster.rest.merge(f"{path}/status", {"status": status})
    pod_of(cluster, "rolling-2", template, waiting("ImagePullBackOff", "manifest unknown"), revision="rolling-00002")
    said = await until(lambda: cluster.because("rolling", "ServingReady", "ImagePullBackOff"))
    assert "cannot pull r/a:1: the registry does not have it" in said["message"]
    assert said["message"].endswith("Revision rolling-00001 keeps serving")
    assert cluster.status("rolling")["serviceStatus"]["latestRevision"] == "rolling-00001"


async def test_a_pod_of_an_older_revision_says_nothing_of_the_present_one(cluster: Cluster, start: Start) -> None:
    await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "mended", {})
    service = await until(lambda: cluster.find(KNATIVE, "services", "mended"))
    path, template = cluster.path(KNATIVE, "services", "mended"), service["spec"]["template"]

    def deploying(revision: str) -> None:
        generation = cluster.rest.get(path)["metadata"]["generation"]
        conditions = [{"type": "Ready", "status": "Unknown", "reason": "Deploying"}]
        status = {"observedGeneration": generation, "latestCreatedRevisionName": revision, "conditions": conditions}
        cluster.rest.merge(f"{path}/status", {"status": status})

    deploying("mended-00001")
    pod_of(cluster, "mended-1", template, waiting("ImagePullBackOff", "unauthorized"), revision="mended-00001")
    await until(lambda: cluster.because("mended", "ServingReady", "ImagePullBackOff"))
    await asyncio.to_thread(cluster.apply, "mended", {"env": [{"name": "EDIT", "value": "1"}]})
    await until(lambda: cluster.because("mended", "ServingReady", "AwaitingController"))
    deploying("mended-00002")
    # The old pod keeps failing beside the new one, which is on its way, until Knative takes it away.
    await until(lambda: cluster.because("mended", "ServingReady", "Deploying"))
    pod_of(cluster, "mended-2", template, waiting("CreateContainerConfigError", "x"), revision="mended-00002")
    await until(lambda: cluster.because("mended", "ServingReady", "CreateContainerConfigError"))


async def test_on_plain_kubernetes_the_newest_replica_set_counts_be_it_the_older_object(
    cluster: Cluster, start: Start
) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "back", {})
    deployment = await until(lambda: cluster.find("apps/v1", "deployments", "back"))
    template = deployment["spec"]["template"]
    report(cluster, "back", replicas=1, updatedReplicas=1, unavailableReplicas=1)

    def replica_set(code: str, number: int) -> str:
        labels = template["metadata"]["labels"] | {"pod-template-hash": code}
        annotations = {"deployment.kubernetes.io/revision": str(number)}
        metadata = {"name": f"back-{code}", "labels": labels, "annotations": annotations}
        pod = {"containers": [{"name": "user-container", "image": "r/a:1"}]}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        cluster.rest.post(cluster.path("apps/v1", "replicasets"), {"metadata": metadata, "spec": spec})
        return cluster.path("apps/v1", "replicasets", f"back-{code}")

    first, _ = replica_set("aaa", 1), replica_set("bbb", 10)
    pod_of(cluster, "back-aaa-1", template, waiting("ImagePullBackOff", "unauthorized"), hash="aaa")
    pod_of(cluster, "back-bbb-1", template, waiting("CreateContainerConfigError", "x"), hash="bbb")
    await until(lambda: cluster.because("back", "ServingReady", "CreateContainerConfigError"))
    # Back to the first version: its ReplicaSet is used again, with the next number.
    cluster.rest.merge(first, {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "11"}}})
    await until(lambda: cluster.because("back", "ServingReady", "ImagePullBackOff"))
    cluster.rest.delete(cluster.path("v1", "pods", "back-aaa-1"), gracePeriodSeconds="0")
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    message = 'pods "back-aaa-x7k2p" is forbidden: error looking up service account n/sa: serviceaccount "sa" not found'
    cluster.rest.merge(f"{first}/status", {"status": {"replicas": 0, "conditions": [failure | {"message": message}]}})
    said = await until(lambda: cluster.because("back", "ServingReady", "FailedCreate"))
    assert said["message"].endswith('"sa" not found; create it or correct spec.serviceAccountName')
    assert "x7k2p" not in said["message"]


async def test_a_revision_gives_its_own_reason_where_no_pod_ever_was(cluster: Cluster, start: Start) -> None:
    await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "unmade", {})
    service = await until(lambda: cluster.find(KNATIVE, "services", "unmade"))
    mark_failed(
        cluster.rest, "Service", namespace=cluster.namespace, name="unmade", reason="RevisionFailed", message="failed"
    )
    await until(lambda: cluster.because("unmade", "ServingReady", "RevisionFailed"))
    labels = service["spec"]["template"]["metadata"]["labels"]
    revision = {
        "apiVersion": KNATIVE,
        "kind": "Revision",
        "metadata": {"name": "unmade-00001", "labels": labels},
        "spec": {"containers": [{"image": "r/a:1"}]},
    }
    cluster.rest.post(cluster.path(KNATIVE, "revisions"), revision)
    ready = {"type": "Ready", "status": "False", "reason": "ContainerMissing", "message": "Unable to fetch image"}
    path = cluster.path(KNATIVE, "revisions", "unmade-00001")
    cluster.rest.merge(f"{path}/status", {"status": {"conditions": [ready]}})
    said = await until(lambda: cluster.because("unmade", "ServingReady", "ContainerMissing"))
    assert "Revision unmade-00001: Unable to fetch image" in said["message"]


async def test_the_topology_operators_refusal_is_told_instead_of_not_ready(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "refused", {"eventing": {}})
    broker = await until(lambda: cluster.find(EVENTING, "brokers", "lambdaagents"))
    mark_failed(
        cluster.rest,
        "Broker",
        namespace=cluster.namespace,
        name="lambdaagents",
        reason="ExchangeFailure",
        message="exchange b.x is not ready",
    )
    await until(lambda: cluster.because("refused", "EventingReady", "ExchangeFailure"))
    owner = {"apiVersion": EVENTING, "kind": "Broker", "name": "lambdaagents", "uid": broker["metadata"]["uid"]}
    exchange = {
        "apiVersion": "rabbitmq.com/v1beta1",
        "kind": "Exchange",
        "metadata": {"name": "b.x", "ownerReferences": [owner]},
        "spec": {"name": "b.x", "type": "headers", "rabbitmqClusterReference": {"name": "r", "namespace": "other"}},
    }
    cluster.rest.post(cluster.path("rabbitmq.com/v1beta1", "exchanges"), exchange)
    why = "Resource is not allowed to reference defined cluster reference. Check the namespace of the resource is"
    ready = {"type": "Ready", "status": "False", "reason": "FailedCreateOrUpdate", "message": why}
    ready |= {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    path = cluster.path("rabbitmq.com/v1beta1", "exchanges", "b.x")
    cluster.rest.merge(f"{path}/status", {"status": {"conditions": [ready]}})
    said = await until(lambda: cluster.because("refused", "EventingReady", "FailedCreateOrUpdate"))
    assert "exchange b.x is not ready" in said["message"]
    assert "not allowed to reference" in said["message"]
