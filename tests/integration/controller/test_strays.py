"""What others write into children: removed, left where it is theirs to say, or named where it comes back."""

import asyncio
import itertools
from typing import Any

import pytest
import structlog
from tests.parts import admission
from tests.parts.cluster import Cluster, Start, until
from tests.parts.rest import RestError

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
SPEC = {"eventing": {"subscriptions": [{"eventType": "a.b"}]}, "env": [{"name": "MINE", "value": "1"}]}


async def trigger_of(cluster: Cluster) -> tuple[str, Any]:
    (name,) = await until(lambda: cluster.names(EVENTING, "triggers"))
    await until(lambda: cluster.find(KNATIVE, "services", "agent"))
    return cluster.path(EVENTING, "triggers", name), cluster.find(EVENTING, "triggers", name)


def env_of(found: Any) -> list[str]:
    return [entry["name"] for entry in found["spec"]["template"]["spec"]["containers"][0]["env"]]


async def test_what_somebody_adds_to_knatives_objects_is_removed(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "agent", SPEC)
    trigger, before = await trigger_of(cluster)
    service = cluster.path(KNATIVE, "services", "agent")
    names = env_of(cluster.rest.get(service))

    cluster.rest.merge(trigger, {"spec": {"subscriber": {"uri": "/elsewhere"}, "delivery": {"retry": 1}}})
    await until(lambda: cluster.rest.get(trigger)["spec"] == before["spec"])
    assert cluster.rest.get(trigger)["metadata"]["uid"] == before["metadata"]["uid"]

    cluster.rest.merge(service, {"spec": {"traffic": [{"revisionName": "agent-00001", "percent": 100}]}})
    await until(lambda: "traffic" not in cluster.rest.get(service)["spec"])

    # As `kubectl edit` and `kn service update` do: the containers are replaced as a whole, the template is named.
    template = cluster.rest.get(service)["spec"]["template"]
    template["spec"]["containers"][0]["env"].append({"name": "THEIRS", "value": "2"})
    template["metadata"]["name"] = "agent-by-hand"
    cluster.rest.merge(service, {"spec": {"template": template}})
    await until(lambda: env_of(cluster.rest.get(service)) == names)
    await until(lambda: "name" not in cluster.rest.get(service)["spec"]["template"]["metadata"])


async def test_of_a_deployment_the_scale_and_the_marks_of_its_pods_are_left_to_others(
    cluster: Cluster, start: Start
) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "agent", {"env": SPEC["env"]})
    await until(lambda: cluster.find("v1", "services", "agent"))
    path = cluster.path("apps/v1", "deployments", "agent")
    names = env_of(cluster.rest.get(path))
    # kubectl scale, an autoscaler of others, KEDA (which goes down to none): all write the scale.
    for replicas in (3, 0):
        cluster.rest.merge(f"{path}/scale", {"spec": {"replicas": replicas}})
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    pod = {"containers": [{"name": "user-container", "env": [{"name": "THEIRS", "value": "2"}]}], "hostNetwork": False}
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "agent"}}
    spec = {"paused": True, "template": {"metadata": {"annotations": restarted}, "spec": pod}}
    cluster.rest.apply(path, document | {"spec": spec}, manager="somebody")
    await until(lambda: env_of(cluster.rest.get(path)) == names)
    await until(lambda: "paused" not in cluster.rest.get(path)["spec"])
    found = cluster.rest.get(path)
    assert found["spec"]["replicas"] == 0
    assert found["spec"]["template"]["metadata"]["annotations"] == restarted
    # An edit of the agent applies the Deployment again.
    await asyncio.to_thread(cluster.apply, "agent", {"env": [{"name": "OTHER", "value": "1"}]})
    await until(lambda: "OTHER" in env_of(cluster.rest.get(path)))
    assert cluster.rest.get(path)["spec"]["replicas"] == 0


async def test_an_object_is_made_anew_where_what_was_added_cannot_be_removed(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "agent", SPEC)
    trigger, before = await trigger_of(cluster)
    said = "!has(oldObject.spec.subscriber.uri) || object.spec.subscriber.?uri == oldObject.spec.subscriber.?uri"
    rule = {"expression": f"oldObject == null || ({said})", "message": "uri is immutable"}
    probe = before | {
        "metadata": {"name": "probe"},
        "spec": before["spec"] | {"subscriber": {"uri": "http://a.invalid"}},
    }
    await asyncio.to_thread(cluster.rest.post, cluster.path(EVENTING, "triggers"), probe)

    def works() -> bool:
        body = {"spec": {"subscriber": {"uri": "http://b.invalid"}}}
        try:
            cluster.rest.merge(cluster.path(EVENTING, "triggers", "probe"), body, dryRun="All")
        except RestError:
            return True
        return False

    resource = ("eventing.knative.dev", "v1", "triggers")
    policy = admission.policy(cluster.rest, cluster.namespace, resource, works, validations=[rule])
    await asyncio.to_thread(policy.__enter__)
    try:
        cluster.rest.merge(trigger, {"spec": {"subscriber": {"uri": "/elsewhere"}}})

        def anew() -> bool:
            found = cluster.rest.find(trigger)
            return bool(found and found["metadata"]["uid"] != before["metadata"]["uid"])

        await until(anew)
        assert "uri" not in cluster.rest.get(trigger)["spec"]["subscriber"]
    finally:
        await asyncio.to_thread(policy.__exit__, None, None, None)


async def test_who_writes_a_field_again_and_again_is_named_and_left(cluster: Cluster, start: Start) -> None:
    await start()
    await asyncio.to_thread(cluster.apply, "agent", SPEC)
    trigger, _ = await trigger_of(cluster)
    numbers = itertools.count()

    def named() -> Any:
        found = cluster.status("agent").get("warnings", [])
        said = [entry for entry in found if entry["reason"] == "FieldContested"]
        if not said:
            cluster.rest.merge(
                trigger, {"spec": {"delivery": {"retry": next(numbers)}}}, fieldManager="another-controller"
            )
        return said

    (said,) = await until(named)
    assert "another-controller sets /spec/delivery repeatedly" in said["message"]
    assert cluster.rest.get(trigger)["spec"]["delivery"]


@pytest.mark.parametrize("serving", ["kubernetes", "knative"])
async def test_what_the_server_writes_otherwise_is_applied_once(cluster: Cluster, start: Start, serving: str) -> None:
    with structlog.testing.capture_logs() as said:
        await start(serving=serving, eventing="none")
        spec = {"resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}, "limits": {"cpu": "2.50"}}}
        await asyncio.to_thread(cluster.apply, "agent", spec)
        group, plural = ("apps/v1", "deployments") if serving == "kubernetes" else (KNATIVE, "services")
        found = await until(lambda: cluster.find(group, plural, "agent"))
        for level in ("one", "two", "three"):
            # The warning tells that the agent was looked at once more, with the child as it is by now.
            annotations = {"lambda.knative.io/pod-security": level}
            await asyncio.to_thread(cluster.apply, "agent", spec, annotations=annotations)
            await until(lambda level=level: f"'{level}' is unknown" in str(cluster.status("agent")))
    # The operator also sees what is still leaving the namespaces of other tests.
    agent = f"{cluster.namespace}/agent"
    applied = [line for line in said if line["event"] == "child.applied" and line["agent"] == agent]
    assert [line["kind"] for line in applied].count(found["kind"]) == 1
