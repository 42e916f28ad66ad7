"""From one serving backend to the other, both ways, and what an agent's Events tell of it."""

import asyncio
from typing import Any

from tests.integration.controller.conftest import Cluster, Start, eventually
from tests.parts.knative import mark_ready

KNATIVE = "serving.knative.dev/v1"


async def test_an_agent_moves_from_plain_kubernetes_to_knative(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "mover", {})
    await eventually(
        lambda: cluster.find("apps/v1", "deployments", "mover") and cluster.find("v1", "services", "mover")
    )
    await stop()
    await start(serving="knative", eventing="none")
    await eventually(lambda: cluster.find(KNATIVE, "services", "mover"))
    await eventually(lambda: cluster.find("apps/v1", "deployments", "mover") is None)
    assert cluster.find("v1", "services", "mover") is None


async def test_an_agent_moves_from_knative_to_plain_kubernetes(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="knative", eventing="none")
    await asyncio.to_thread(cluster.apply, "mover", {})
    service = await eventually(lambda: cluster.find(KNATIVE, "services", "mover"))
    # As Knative's Route does: a Service of the agent's name, which goes when the Route goes. The version is one that no
    # server serves, or the garbage collector would find that there is no such Route.
    route = {
        "apiVersion": "serving.knative.dev/v9",
        "kind": "Route",
        "name": "mover",
        "uid": service["metadata"]["uid"],
        "controller": True,
    }
    placeholder = {
        "metadata": {"name": "mover", "ownerReferences": [route]},
        "spec": {"type": "ExternalName", "externalName": "gateway.invalid"},
    }
    cluster.rest.post(cluster.path("v1", "services"), {"apiVersion": "v1", "kind": "Service"} | placeholder)
    await stop()
    await start(serving="kubernetes", eventing="none")
    await eventually(lambda: cluster.find(KNATIVE, "services", "mover") is None)
    waiting = await eventually(lambda: cluster.has("mover", "ServingReady", "False"))
    assert waiting["reason"] == "AwaitingKnative"
    cluster.rest.delete(cluster.path("v1", "services", "mover"))
    await eventually(lambda: _is_ours(cluster.find("v1", "services", "mover")))
    assert cluster.find("apps/v1", "deployments", "mover")


def _is_ours(service: Any) -> bool:
    return bool(service) and service["metadata"]["ownerReferences"][0]["kind"] == "LambdaAgent"


async def test_transitions_are_told_as_events_and_progress_is_not(cluster: Cluster, start: Start) -> None:
    await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "told", {})
    await eventually(lambda: cluster.find(KNATIVE, "services", "told"))
    mark_ready(cluster.rest, "Service", namespace=cluster.namespace, name="told")
    await eventually(lambda: cluster.has("told", "Ready", "True"))

    def events() -> list[tuple[str, str]]:
        found = cluster.rest.get(cluster.path("events.k8s.io/v1", "events"))["items"]
        return [(event["type"], event["reason"]) for event in found if event["regarding"]["name"] == "told"]

    assert await eventually(events) == [("Normal", "Ready")]
