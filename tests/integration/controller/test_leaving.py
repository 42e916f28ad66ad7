"""Deletion where the way out is not the usual one: children that no watch sees, and children that are to stay."""

import asyncio
from typing import Any

from tests.parts import admission
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative_controllers import KnativeControllers

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
FINALIZER = "lambdaagent.lambda.knative.io/finalizer"
MANAGED = "app.kubernetes.io/managed-by"
REWRITE = {
    "patchType": "ApplyConfiguration",
    "applyConfiguration": {"expression": f'Object{{metadata: Object.metadata{{labels: {{"{MANAGED}": "platform"}}}}}}'},
}


async def test_an_agent_goes_although_a_policy_renames_who_manages_its_children(cluster: Cluster, start: Start) -> None:
    def works() -> bool:
        body = {"metadata": {"name": "probe"}, "spec": {"ports": [{"port": 80}]}}
        found = cluster.rest.post(cluster.path("v1", "services"), body, dryRun="All")
        return bool(found["metadata"].get("labels", {}).get(MANAGED) == "platform")

    policy = admission.policy(cluster.rest, cluster.namespace, ("", "v1", "services"), works, mutations=[REWRITE])
    await asyncio.to_thread(policy.__enter__)
    try:
        await start(serving="kubernetes", eventing="none")
        await asyncio.to_thread(cluster.apply, "agent", {})
        found = await until(lambda: cluster.find("v1", "services", "agent"))
        assert found["metadata"]["labels"][MANAGED] == "platform"
        cluster.rest.delete(cluster.path("v1", "services", "agent"))
        await asyncio.to_thread(cluster.apply, "agent", {"env": [{"name": "EDIT", "value": "1"}]})
        await asyncio.to_thread(cluster.rest.delete, f"{cluster.agents}/agent")
        await until(lambda: cluster.agent("agent") is None)
        await until(lambda: cluster.find("v1", "services", "agent") is None)
    finally:
        await asyncio.to_thread(policy.__exit__, None, None, None)


async def test_children_stay_where_they_are_to_be_orphaned_and_the_next_of_the_name_takes_them_over(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()
    spec = {"eventing": {"subscriptions": [{"eventType": "a.b"}]}}
    await asyncio.to_thread(cluster.apply, "agent", spec)
    await until(lambda: cluster.has("agent", "Ready", "True"))
    before = uids(cluster)
    cluster.rest.delete(f"{cluster.agents}/agent", propagationPolicy="Orphan")
    await until(lambda: cluster.agent("agent") is None)
    # What is deleted goes within this time, in the tests of deletion.
    await asyncio.sleep(1)
    assert uids(cluster) == before
    assert not any(item["metadata"].get("ownerReferences") for item in children(cluster))

    await asyncio.to_thread(cluster.apply, "agent", spec)
    await until(lambda: cluster.has("agent", "Ready", "True"))
    assert uids(cluster) == before
    uid = cluster.agent("agent")["metadata"]["uid"]
    assert {item["metadata"]["ownerReferences"][0]["uid"] for item in children(cluster)} == {uid}


async def test_children_that_were_orphaned_while_the_operator_was_away_stay(cluster: Cluster, start: Start) -> None:
    stop = await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "agent", {})
    await until(lambda: cluster.find("v1", "services", "agent"))
    await stop()
    cluster.rest.delete(f"{cluster.agents}/agent", propagationPolicy="Orphan")
    await until(lambda: cluster.agent("agent")["metadata"]["finalizers"] == [FINALIZER])
    await start(serving="kubernetes", eventing="none")
    await until(lambda: cluster.agent("agent") is None)
    await asyncio.sleep(1)
    assert cluster.find("v1", "services", "agent")
    assert cluster.find("apps/v1", "deployments", "agent")


def children(cluster: Cluster) -> list[Any]:
    kinds = ((KNATIVE, "services"), (EVENTING, "triggers"), (EVENTING, "brokers"))
    return [item for group, plural in kinds for item in cluster.rest.get(cluster.path(group, plural))["items"]]


def uids(cluster: Cluster) -> dict[str, str]:
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in children(cluster)}
