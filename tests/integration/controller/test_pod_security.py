"""What the operator makes, in a namespace that admits only what the `restricted` pod security standard allows."""

import asyncio
from typing import Any

import pytest
from tests.parts import pods
from tests.parts.cluster import Cluster, Start, until
from tests.parts.rest import RestError

ANNOTATION = "lambda.knative.io/pod-security"
WORKLOADS = {"kubernetes": ("apps/v1", "deployments"), "knative": ("serving.knative.dev/v1", "services")}


async def template(cluster: Cluster, serving: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await until(lambda: cluster.find(*WORKLOADS[serving], name)))["spec"]["template"]
    if serving == "knative":  # which fills in the ports of probes
        (container,) = found["spec"]["containers"]
        for probe in ("readinessProbe", "livenessProbe"):
            container[probe]["httpGet"]["port"] = container["ports"][0]["containerPort"]
    return found


@pytest.mark.parametrize("serving", WORKLOADS)
async def test_an_agent_is_admitted_where_only_restricted_pods_are(
    serving: str, cluster: Cluster, start: Start
) -> None:
    pods.enforce(cluster.rest, cluster.namespace)
    await until(lambda: cluster.find("v1", "serviceaccounts", "default"))
    await start(serving=serving, eventing="none")
    await asyncio.to_thread(cluster.apply, "plain", {})
    made = pods.create(cluster.rest, cluster.namespace, await template(cluster, serving, "plain"))
    assert made["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] is True


async def test_an_agent_with_the_gateway_beside_it_is_admitted_too(cluster: Cluster, start: Start) -> None:
    pods.enforce(cluster.rest, cluster.namespace)
    await until(lambda: cluster.find("v1", "serviceaccounts", "default"))
    await start(serving="kubernetes", eventing="none", gateway_image="example.com/gateway:1")
    a2a = {"enabled": True, "mode": "sidecar", "skills": [{"id": "a", "name": "A"}]}
    await asyncio.to_thread(cluster.apply, "paired", {"a2a": a2a})
    made = pods.create(cluster.rest, cluster.namespace, await template(cluster, "kubernetes", "paired"))
    assert len(made["spec"]["containers"]) == 2


@pytest.mark.parametrize("serving", WORKLOADS)
async def test_baseline_is_for_images_that_run_as_root_and_is_not_admitted_there(
    serving: str, cluster: Cluster, start: Start
) -> None:
    pods.enforce(cluster.rest, cluster.namespace)
    await until(lambda: cluster.find("v1", "serviceaccounts", "default"))
    await start(serving=serving, eventing="none")
    await asyncio.to_thread(cluster.apply, "rooted", {}, annotations={ANNOTATION: "baseline"})
    found = await template(cluster, serving, "rooted")
    with pytest.raises(RestError, match="runAsNonRoot != true") as refused:
        pods.create(cluster.rest, cluster.namespace, found)
    assert refused.value.status == 403
    pods.enforce(cluster.rest, cluster.namespace, "baseline")
    await until(lambda: _admitted(cluster, found))


def _admitted(cluster: Cluster, found: dict[str, Any]) -> bool:
    try:
        pods.create(cluster.rest, cluster.namespace, found)
    except RestError:  # the new level is learnt through a watch
        return False
    return True


async def test_an_annotation_written_later_counts(cluster: Cluster, start: Start) -> None:
    await start(serving="kubernetes", eventing="none")
    await asyncio.to_thread(cluster.apply, "changed", {})
    await until(lambda: cluster.find(*WORKLOADS["kubernetes"], "changed"))
    cluster.rest.merge(f"{cluster.agents}/changed", {"metadata": {"annotations": {ANNOTATION: "baseline"}}})
    await until(lambda: "runAsNonRoot" not in str(cluster.find(*WORKLOADS["kubernetes"], "changed")["spec"]))
    cluster.rest.merge(f"{cluster.agents}/changed", {"metadata": {"annotations": {ANNOTATION: "relaxed"}}})
    warning = await until(lambda: (cluster.status("changed").get("warnings") or [None])[0])
    assert warning["reason"] == "UnknownPodSecurity"
    assert ANNOTATION in warning["field"]
