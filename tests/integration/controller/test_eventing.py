"""Brokers and Triggers: forwards between agents, Brokers that are awaited, and agents that move between Brokers."""

import asyncio
from typing import Any

from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative import mark_ready

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"


def forward(cluster: Cluster, target: str) -> dict[str, Any]:
    return {"eventTypes": ["a.b"], "targetAgent": target, "targetNamespace": cluster.namespace}


async def test_a_forward_waits_for_its_target_and_goes_with_its_consent(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "sender", {"eventing": {"forwards": [forward(cluster, "target")]}})
    missing = await until(lambda: cluster.has("sender", "ForwardsResolved", "False"))
    assert missing["reason"] == "TargetNotFound"
    assert cluster.names(EVENTING, "triggers") == []

    await asyncio.to_thread(cluster.apply, "target", {"eventing": {"broker": {"dedicated": True}}})
    await until(lambda: cluster.has("sender", "ForwardsResolved", "True"))
    (name,) = cluster.names(EVENTING, "triggers")
    trigger = cluster.find(EVENTING, "triggers", name)
    assert trigger["spec"]["subscriber"]["ref"]["kind"] == "Broker"
    assert trigger["spec"]["subscriber"]["ref"]["name"] == "target-dedicated"

    closed = {"eventing": {"broker": {"dedicated": True}, "acceptForwardsFrom": []}}
    await asyncio.to_thread(cluster.apply, "target", closed)
    refused = await until(lambda: cluster.has("sender", "ForwardsResolved", "False"))
    assert refused["reason"] == "NotAcceptedByTarget"
    await until(lambda: cluster.names(EVENTING, "triggers") == [])


async def test_a_cycle_is_reported(cluster: Cluster, start: Start) -> None:
    await start()
    for name, target in (("one", "two"), ("two", "one")):
        spec = {"eventing": {"broker": {"dedicated": True}, "forwards": [forward(cluster, target)]}}
        await asyncio.to_thread(cluster.apply, name, spec)
    cycle = await until(lambda: cluster.because("one", "ForwardsResolved", "ForwardCycle"))
    assert "one-dedicated" in cycle["message"]
    assert "two-dedicated" in cycle["message"]


async def test_without_a_gateway_the_workload_waits_for_the_brokers_address(cluster: Cluster, start: Start) -> None:
    await start(events_url="", gateway_url="")
    await asyncio.to_thread(cluster.apply, "waiting", {"eventing": {}})
    waits = await until(lambda: cluster.has("waiting", "ServingReady", "False"))
    assert waits["reason"] == "AwaitingBroker"
    assert cluster.status("waiting")["phase"] == "Pending"
    assert cluster.names(KNATIVE, "services") == []
    mark_ready(cluster.rest, "Broker", namespace=cluster.namespace, name="lambdaagents")
    service = await until(lambda: cluster.find(KNATIVE, "services", "waiting"))
    env = {entry["name"]: entry["value"] for entry in service["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["K_SINK"] == f"http://lambdaagents-broker-ingress.{cluster.namespace}.svc.cluster.local"


async def test_an_agent_that_moves_to_its_own_broker_leaves_the_shared_one(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "mover", {"eventing": {}})
    await until(lambda: cluster.names(EVENTING, "brokers") == ["lambdaagents"])
    await asyncio.to_thread(cluster.apply, "mover", {"eventing": {"broker": {"dedicated": True}}})
    await until(lambda: cluster.names(EVENTING, "brokers") == ["mover-dedicated"])


async def test_the_attempts_that_a_broker_says_are_not_said_by_its_triggers(cluster: Cluster, start: Start) -> None:
    def wants(attempts: int) -> dict[str, Any]:
        return {"eventing": {"subscriptions": [{"eventType": "a.b"}], "dlq": {"retryMaxAttempts": attempts}}}

    def own() -> list[Any]:
        found = (cluster.find(EVENTING, "triggers", name) for name in cluster.names(EVENTING, "triggers"))
        agents = {each["metadata"]["ownerReferences"][0]["name"]: each["spec"].get("delivery") for each in found}
        return [(agents[name] or {}).get("retry") for name in sorted(agents)]

    await asyncio.to_thread(cluster.apply, "one", wants(5))
    await asyncio.to_thread(cluster.apply, "two", wants(5))
    await asyncio.to_thread(cluster.apply, "three", wants(4))
    await start()
    await until(lambda: own() == [None, 4, None])  # one, three, two
    assert cluster.find(EVENTING, "brokers", "lambdaagents")["spec"]["delivery"]["retry"] == 5
    await asyncio.to_thread(cluster.apply, "one", wants(4))
    await until(lambda: own() == [4, 4, None])
    assert cluster.find(EVENTING, "brokers", "lambdaagents")["spec"]["delivery"]["retry"] == 5


async def test_on_plain_kubernetes_an_agent_is_a_deployment_and_a_service(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    spec = {
        "scaling": {"minReplicas": 0, "maxReplicas": 3},
        "resources": {"requests": {"cpu": "1000m"}},
        "behavior": {"healthCheck": {}},
    }
    await asyncio.to_thread(cluster.apply, "plain", spec)
    deployment = await until(lambda: cluster.find("apps/v1", "deployments", "plain"))
    autoscaler = await until(lambda: cluster.find("autoscaling/v2", "horizontalpodautoscalers", "plain"))
    assert autoscaler["spec"]["minReplicas"] == 1
    await until(lambda: cluster.status("plain").get("warnings"))
    reasons = {warning["reason"] for warning in cluster.status("plain")["warnings"]}
    assert "ScaleToZeroUnsupported" in reasons
    path = cluster.path("apps/v1", "deployments", "plain") + "/status"
    generation = deployment["metadata"]["generation"]
    conditions = [{"type": "Available", "status": "True"}]
    status = {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "conditions": conditions}
    cluster.rest.merge(path, {"status": status})
    await until(lambda: cluster.has("plain", "Ready", "True"))


async def test_eventing_without_a_backend_is_said_and_not_ready(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "deaf", {"eventing": {}})
    ready = await until(lambda: cluster.has("deaf", "EventingReady", "False"))
    assert ready["reason"] == "NoEventingBackend"


async def test_triggers_are_made_anew_together_with_their_broker(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "bound", {"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    (name,) = await until(lambda: cluster.names(EVENTING, "triggers"))
    old = cluster.find(EVENTING, "triggers", name)["metadata"]["uid"]
    cluster.rest.delete(cluster.path(EVENTING, "brokers", "lambdaagents"))

    def renewed() -> bool:
        broker, trigger = (
            cluster.find(EVENTING, "brokers", "lambdaagents"),
            cluster.find(EVENTING, "triggers", name),
        )
        if not broker or not trigger or trigger["metadata"]["uid"] == old:
            return False
        said = trigger["metadata"]["annotations"]["lambda.knative.io/broker-uid"]
        return bool(said == broker["metadata"]["uid"])

    await until(renewed)


async def test_what_nobody_takes_is_named_until_somebody_does(cluster: Cluster, start: Start) -> None:
    await start()

    def reasons() -> set[str]:
        return {warning["reason"] for warning in cluster.status("loud").get("warnings", [])}

    await asyncio.to_thread(cluster.apply, "loud", {"eventing": {"intents": ["chat.said"]}})
    await until(lambda: "IntentNotSubscribed" in reasons())
    taker = {"eventing": {"subscriptions": [{"eventType": "io.homelab.chat.said"}]}}
    await asyncio.to_thread(cluster.apply, "taker", taker)
    await until(lambda: "IntentNotSubscribed" not in reasons())
    cluster.rest.delete(f"{cluster.agents}/taker")
    await until(lambda: "IntentNotSubscribed" in reasons())


async def test_a_forward_of_what_its_target_does_not_take_is_named(cluster: Cluster, start: Start) -> None:
    await start()
    forward = {"eventTypes": ["a.b", "c.d"], "targetAgent": "target", "targetNamespace": cluster.namespace}
    await asyncio.to_thread(cluster.apply, "sender", {"eventing": {"forwards": [forward]}})
    target = {"eventing": {"broker": {"dedicated": True}, "subscriptions": [{"eventType": "c.d"}]}}
    await asyncio.to_thread(cluster.apply, "target", target)

    def warning() -> Any:
        found = cluster.status("sender").get("warnings", [])
        return next((entry for entry in found if entry["reason"] == "ForwardNotSubscribed"), None)

    said = await until(warning)
    assert said["field"] == "spec.eventing.forwards[0].eventTypes"
    assert "target does not subscribe to a.b;" in said["message"]
