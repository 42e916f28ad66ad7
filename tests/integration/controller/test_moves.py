"""From one serving backend to the other, both ways, and what an agent's Events tell of it."""

import asyncio

from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative import mark_all_ready, mark_ready

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"


async def test_an_agent_moves_from_plain_kubernetes_to_knative(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "mover", {})
    await until(lambda: cluster.find("apps/v1", "deployments", "mover") and cluster.find("v1", "services", "mover"))
    await stop()
    await start(serving="knative", eventing="none")
    await until(lambda: cluster.find(KNATIVE, "services", "mover"))
    await until(lambda: cluster.find("apps/v1", "deployments", "mover") is None)
    assert cluster.find("v1", "services", "mover") is None


async def test_eventing_moves_to_plain_rabbitmq_and_back_and_each_says_its_own(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="knative", eventing="knative")
    await asyncio.to_thread(cluster.apply, "mover", {"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    await until(lambda: len(cluster.names(EVENTING, "triggers")) == 1)
    await until(lambda: cluster.find(KNATIVE, "services", "mover"))
    mark_all_ready(cluster.rest, namespace=cluster.namespace)
    await until(lambda: cluster.has("mover", "Ready", "True"))
    await stop()

    # What the operator said of Triggers says nothing of queues: only the dispatcher can.
    stop = await start(serving="knative", eventing="rabbitmq")
    await until(lambda: cluster.names(EVENTING, "triggers") == [] == cluster.names(EVENTING, "brokers"))
    waiting = await until(lambda: cluster.has("mover", "Ready", "False"))
    assert waiting["reason"] == "AwaitingDispatcher"
    assert cluster.condition("mover", "EventingReady") is None

    said = {
        "type": "EventingReady",
        "status": "True",
        "reason": "Bound",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": waiting["observedGeneration"],
    }
    document = {"apiVersion": "lambda.knative.io/v1alpha1", "kind": "LambdaAgent", "status": {"conditions": [said]}}
    cluster.rest.apply(f"{cluster.agents}/mover/status", document, manager="lambdaagent-dispatcher")
    await until(lambda: cluster.has("mover", "Ready", "True"))
    await stop()

    await start(serving="knative", eventing="knative")
    await until(lambda: len(cluster.names(EVENTING, "triggers")) == 1)
    ours = await until(lambda: cluster.has("mover", "EventingReady", "Unknown"))
    assert ours["reason"] == "AwaitingController"
    assert cluster.has("mover", "Ready", "False")


async def test_transitions_are_told_as_events_and_progress_is_not(cluster: Cluster, start: Start) -> None:
    await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "told", {})
    await until(lambda: cluster.find(KNATIVE, "services", "told"))
    mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name="told")
    await until(lambda: cluster.has("told", "Ready", "True"))

    def events() -> list[tuple[str, str]]:
        found = cluster.rest.get(cluster.path("events.k8s.io/v1", "events"))["items"]
        return [(event["type"], event["reason"]) for event in found if event["regarding"]["name"] == "told"]

    assert await until(events) == [("Normal", "Ready")]
