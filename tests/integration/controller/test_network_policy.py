"""The NetworkPolicy of an agent at a real API server: it is made, kept, given up and deleted with the agent."""

import asyncio
from typing import Any

from tests.parts.cluster import Cluster, Start, until

POLICIES = ("networking.k8s.io/v1", "networkpolicies")
KNATIVE = "serving.knative.dev/v1"


def spec(*, closed: bool = True) -> dict[str, Any]:
    return {"a2a": {"enabled": True, "access": {"networkPolicy": closed}, "skills": [{"id": "a", "name": "A"}]}}


async def test_it_is_made_kept_and_given_up(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "closed", spec())
    made = await until(lambda: cluster.find(*POLICIES, "closed"))
    (peer,) = made["spec"]["ingress"][0]["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": cluster.namespace}
    said = await until(lambda: cluster.has("closed", "AccessEnforced", "True"))
    assert "network plugin" in said["message"]

    # Somebody opens it, then deletes it.
    path = cluster.path(*POLICIES, "closed")
    cluster.rest.merge(path, {"spec": {"ingress": [{}]}})
    await until(lambda: cluster.find(*POLICIES, "closed")["spec"] == made["spec"])
    cluster.rest.delete(path)
    again = await until(lambda: cluster.find(*POLICIES, "closed"))
    assert again["metadata"]["uid"] != made["metadata"]["uid"]

    await asyncio.to_thread(cluster.apply, "closed", spec(closed=False))
    await until(lambda: cluster.find(*POLICIES, "closed") is None)
    await until(lambda: cluster.because("closed", "AccessEnforced", "PastGateway"))
    assert cluster.find("apps/v1", "deployments", "closed")


async def test_it_is_deleted_with_the_agent(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "closed", spec())
    made = await until(lambda: cluster.find(*POLICIES, "closed"))
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["controller"]) == ("LambdaAgent", True)
    cluster.rest.delete(f"{cluster.agents}/closed")
    await until(lambda: cluster.agent("closed") is None)
    assert cluster.names(*POLICIES) == []


async def test_the_policy_of_another_is_left_alone(cluster: Cluster, start: Start) -> None:
    theirs = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    cluster.rest.apply(cluster.path(*POLICIES, "closed"), theirs, manager="user")
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "closed", spec())
    said = await until(lambda: cluster.has("closed", "AccessEnforced", "False"))
    assert said["reason"] == "NameTaken"
    assert "ingress" not in cluster.find(*POLICIES, "closed")["spec"]


async def test_on_knative_there_is_none_and_status_says_so(cluster: Cluster, start: Start) -> None:
    await start(serving="knative", eventing="none")
    await asyncio.to_thread(cluster.apply, "closed", spec())
    await until(lambda: cluster.find(KNATIVE, "services", "closed"))
    warned = await until(lambda: cluster.status("closed").get("warnings"))
    assert [each["reason"] for each in warned] == ["KubernetesOnly"]
    await until(lambda: cluster.has("closed", "AccessEnforced", "Unknown"))
    assert cluster.names(*POLICIES) == []


async def test_it_goes_when_the_agent_moves_to_knative(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "closed", spec())
    await until(lambda: cluster.find(*POLICIES, "closed"))
    await stop()
    await start(serving="knative", eventing="none")
    await until(lambda: cluster.find(*POLICIES, "closed") is None)
