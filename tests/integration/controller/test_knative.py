"""Beside Knative's own controllers: what they make and copy is theirs, and what they report reaches the agent."""

import asyncio
from typing import Any

import pytest
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative_controllers import KnativeControllers

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
SPEC = {"eventing": {"subscriptions": [{"eventType": "a.b"}]}}
# What the Route's Service copies from the Knative Service.
OURS = "app.kubernetes.io/managed-by"


def edited(number: int) -> dict[str, Any]:
    return SPEC | {"env": [{"name": "NUMBER", "value": str(number)}]}


async def test_what_knative_makes_of_an_agent_is_left_alone_from_the_first_edit_to_the_last(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "agent", edited(0))
    await until(lambda: cluster.has("agent", "Ready", "True"))
    own = await asyncio.to_thread(cluster.find, "v1", "services", "agent")
    assert own["metadata"]["labels"][OURS] == "lambdaagent"
    assert own["metadata"]["ownerReferences"][0]["kind"] == "Route"
    for number in (1, 2, 3):
        await asyncio.to_thread(cluster.apply, "agent", edited(number))
        revision = f"agent-{number + 1:05d}"
        await until(lambda revision=revision: revision in cluster.names(KNATIVE, "revisions"))
        await until(lambda: cluster.has("agent", "Ready", "True"))
    again = {name: times for (namespace, name), times in knative.made.items() if namespace == cluster.namespace}
    assert {name: times for name, times in again.items() if times > 1} == {}
    assert cluster.find("v1", "services", "agent")["metadata"]["uid"] == own["metadata"]["uid"]

    cluster.rest.delete(f"{cluster.agents}/agent")
    await until(lambda: cluster.agent("agent") is None)
    # Garbage collection, by the owner references that Knative's controllers set.
    await until(lambda: cluster.names("v1", "services") == [] == cluster.names("apps/v1", "deployments"))


async def test_an_agent_moves_to_plain_kubernetes_when_the_route_has_let_its_name_go(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    stop = await start(eventing="none")
    await asyncio.to_thread(cluster.apply, "mover", {})
    await until(lambda: cluster.has("mover", "Ready", "True"))
    await stop()
    await start(serving="kubernetes", eventing="none")
    await until(lambda: _kind_of_owner(cluster.find("v1", "services", "mover")) == "LambdaAgent", within=40)
    assert cluster.names(KNATIVE, "services") == []
    assert cluster.find("apps/v1", "deployments", "mover")


def _kind_of_owner(found: Any) -> str:
    references = (found or {}).get("metadata", {}).get("ownerReferences", [])
    return str(references[0]["kind"]) if references else ""


@pytest.mark.parametrize("deleted", ["brokers", "triggers"])
async def test_what_is_deleted_by_hand_is_ready_again_with_a_queue_of_its_own(
    cluster: Cluster, start: Start, knative: KnativeControllers, deleted: str
) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "agent", SPEC)
    await until(lambda: cluster.has("agent", "Ready", "True"))
    (name,) = cluster.names(EVENTING, deleted)
    old = cluster.find(EVENTING, deleted, name)["metadata"]["uid"]
    cluster.rest.delete(cluster.path(EVENTING, deleted, name))
    await until(lambda: (cluster.find(EVENTING, deleted, name) or {"metadata": {"uid": old}})["metadata"]["uid"] != old)
    broker = cluster.find(EVENTING, "brokers", "lambdaagents")["metadata"]["uid"]
    # The queue of the Broker before goes after its successor has come.
    await until(lambda: [name.endswith(broker) for name in _queues(cluster)] == [True])
    await until(lambda: cluster.has("agent", "Ready", "True"))


def _queues(cluster: Cluster) -> list[str]:
    found = cluster.rest.get(cluster.path("rabbitmq.com/v1beta1", "queues"))["items"]
    return [queue["spec"]["name"] for queue in found]
