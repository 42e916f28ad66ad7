"""One LambdaAgent from `kubectl apply` to Ready and away again, on a real API server."""

import asyncio
from typing import Any

import yaml
from tests.parts.cluster import Cluster, Start, until
from tests.parts.documents import RICHEST
from tests.parts.knative import mark_all_ready
from tests.parts.knative_controllers import KnativeControllers

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"


async def test_the_richest_agent_goes_from_apply_to_ready_and_then_rests(cluster: Cluster, start: Start) -> None:
    await start()
    spec: dict[str, Any] = yaml.safe_load(RICHEST.read_text())["spec"]
    await asyncio.to_thread(cluster.apply, "richest", spec)
    ready = await until(lambda: cluster.has("richest", "Ready", "False"))
    assert "Service richest: no report yet" in ready["message"]
    assert "Knative Serving" in ready["message"]
    assert "Broker lambdaagents: no report yet" in ready["message"]
    assert cluster.names(EVENTING, "brokers") == ["lambdaagents"]
    assert len(cluster.names(EVENTING, "triggers")) == 3, "two subscriptions, and the calls of its async skill"

    await asyncio.to_thread(mark_all_ready, cluster.rest, namespace=cluster.namespace)
    await until(lambda: cluster.has("richest", "Ready", "True"))
    agent = cluster.agent("richest")
    assert agent["status"]["phase"] == "Ready"
    assert agent["status"]["serviceStatus"]["url"] == f"http://richest.{cluster.namespace}.svc.cluster.local"
    assert {"field", "reason", "message"} == set(agent["status"]["warnings"][0])
    assert cluster.condition("richest", "ForwardsResolved")["reason"] == "TargetNotFound"

    # At rest: nothing is written any more, not even to be the same.
    before = resource_versions(cluster)
    await asyncio.sleep(1.5)
    assert resource_versions(cluster) == before


def resource_versions(cluster: Cluster) -> dict[str, str]:
    found = {}
    for group, plural in (
        (KNATIVE, "services"),
        (EVENTING, "brokers"),
        (EVENTING, "triggers"),
        ("v1", "services"),
        ("lambda.knative.io/v1alpha1", "lambdaagents"),
    ):
        for item in cluster.rest.get(cluster.path(group, plural))["items"]:
            found[f"{plural}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    return found


async def test_an_edit_of_a_ready_agent_is_rolled_out(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "edited", {"env": [{"name": "A", "value": "1"}]})
    await until(lambda: cluster.has("edited", "Ready", "True"))
    before = cluster.status("edited")["serviceStatus"]["latestRevision"]
    await asyncio.to_thread(cluster.apply, "edited", {"env": [{"name": "B", "value": "2"}]})

    def names() -> Any:
        containers = cluster.find(KNATIVE, "services", "edited")["spec"]["template"]["spec"]["containers"]
        found = {entry["name"] for entry in containers[0]["env"]}
        return "B" in found and "A" not in found

    await until(names)
    await until(lambda: cluster.has("edited", "Ready", "True"))
    assert cluster.status("edited")["serviceStatus"]["latestRevision"] > before


async def test_a_child_edited_or_deleted_by_hand_comes_back(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "drifting", {"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    (trigger,) = await until(lambda: cluster.names(EVENTING, "triggers"))
    old = cluster.find(EVENTING, "triggers", trigger)["metadata"]["uid"]
    cluster.rest.delete(cluster.path(EVENTING, "triggers", trigger))
    await until(lambda: (cluster.find(EVENTING, "triggers", trigger) or {}).get("metadata", {}).get("uid", old) != old)
    path = cluster.path(KNATIVE, "services", "drifting")
    cluster.rest.merge(path, {"metadata": {"labels": {"app.kubernetes.io/component": "changed"}}})
    await until(lambda: cluster.rest.get(path)["metadata"]["labels"]["app.kubernetes.io/component"] == "agent")


async def test_what_is_no_longer_wanted_is_pruned(cluster: Cluster, start: Start, knative: KnativeControllers) -> None:
    await start()
    subscriptions = [{"eventType": "a.one"}, {"eventType": "a.two"}]
    await asyncio.to_thread(cluster.apply, "pruned", {"eventing": {"subscriptions": subscriptions}})
    await until(lambda: len(cluster.names(EVENTING, "triggers")) == 2)
    await asyncio.to_thread(cluster.apply, "pruned", {"eventing": {"subscriptions": subscriptions[:1]}})
    await until(lambda: len(cluster.names(EVENTING, "triggers")) == 1)
    await asyncio.to_thread(cluster.apply, "pruned", {"eventing": {"enabled": False}})
    await until(lambda: cluster.names(EVENTING, "brokers") == [] and cluster.names(EVENTING, "triggers") == [])


async def test_deletion_leaves_nothing(cluster: Cluster, start: Start, knative: KnativeControllers) -> None:
    await start()
    spec: dict[str, Any] = yaml.safe_load(RICHEST.read_text())["spec"]
    await asyncio.to_thread(cluster.apply, "leaving", spec)
    await until(lambda: cluster.find("monitoring.coreos.com/v1", "servicemonitors", "leaving"))
    assert cluster.agent("leaving")["metadata"]["finalizers"] == ["lambdaagent.lambda.knative.io/finalizer"]
    cluster.rest.delete(f"{cluster.agents}/leaving")
    await until(lambda: cluster.agent("leaving") is None)
    for group, plural in (
        (KNATIVE, "services"),
        (EVENTING, "triggers"),
        (EVENTING, "brokers"),
        ("eventing.knative.dev/v1alpha1", "rabbitmqbrokerconfigs"),
        ("v1", "services"),
        ("monitoring.coreos.com/v1", "servicemonitors"),
    ):
        # What Knative made of the children goes by garbage collection, a moment later.
        await until(lambda group=group, plural=plural: cluster.names(group, plural) == [])


async def test_a_shared_broker_goes_with_its_last_agent(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()
    for name in ("first", "second"):
        await asyncio.to_thread(cluster.apply, name, {"eventing": {}})

    def owners() -> list[str]:
        broker = cluster.find(EVENTING, "brokers", "lambdaagents") or {"metadata": {}}
        return sorted(reference["name"] for reference in broker["metadata"].get("ownerReferences", []))

    await until(lambda: owners() == ["first", "second"])
    uid = cluster.find(EVENTING, "brokers", "lambdaagents")["metadata"]["uid"]
    cluster.rest.delete(f"{cluster.agents}/first")
    await until(lambda: owners() == ["second"])
    assert cluster.find(EVENTING, "brokers", "lambdaagents")["metadata"]["uid"] == uid
    cluster.rest.delete(f"{cluster.agents}/second")
    await until(lambda: cluster.find(EVENTING, "brokers", "lambdaagents") is None)


async def test_of_many_quick_edits_the_last_one_stands(
    cluster: Cluster, start: Start, knative: KnativeControllers
) -> None:
    await start()

    def edit() -> None:
        for number in range(30):
            cluster.apply("busy", {"env": [{"name": "EDIT", "value": str(number)}]})

    await asyncio.to_thread(edit)

    def value() -> str:
        service = cluster.find(KNATIVE, "services", "busy")
        return service["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] if service else ""

    await until(lambda: value() == "29")
    await until(lambda: cluster.has("busy", "SpecValid", "True"))
