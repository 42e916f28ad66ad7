"""Agents whose whole namespace is deleted: the operator lets them go, and complains of nothing meanwhile."""

import asyncio
import secrets
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative import mark_all_ready
from tests.parts.kubernetes import KubeApiserver

KNATIVE, EVENTING, CONTROLLERS = "serving.knative.dev/v1", "eventing.knative.dev/v1", "kube-controller-manager"

Said = MutableMapping[str, Any]


@pytest.fixture
def doomed(kube_apiserver: KubeApiserver) -> Iterator[Cluster]:
    """Creates a namespace that is not the one of the operator's Lease."""
    name = f"test-{secrets.token_hex(4)}"
    kube_apiserver.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield Cluster(kube_apiserver, name)
    kube_apiserver.resume(CONTROLLERS)


async def ready(cluster: Cluster, name: str) -> None:
    spec = {"eventing": {"subscriptions": [{"eventType": "a.b"}]}}
    await asyncio.to_thread(cluster.apply, name, spec)
    await until(lambda: cluster.names(EVENTING, "triggers") and cluster.find(KNATIVE, "services", name))
    mark_all_ready(cluster.rest, namespace=cluster.namespace)
    await until(lambda: cluster.has(name, "Ready", "True"))


def delete(cluster: Cluster) -> None:
    cluster.rest.delete(f"/api/v1/namespaces/{cluster.namespace}")


def about(cluster: Cluster, said: Iterable[Said]) -> list[Said]:
    """Returns the log lines about this namespace; the operator also sees namespaces of other tests."""
    return [line for line in said if cluster.namespace in str(line)]


def complaints(cluster: Cluster, said: Iterable[Said]) -> list[Said]:
    return [line for line in about(cluster, said) if line["log_level"] in ("warning", "error")]


def gone(cluster: Cluster) -> bool:
    return cluster.rest.find(f"/api/v1/namespaces/{cluster.namespace}") is None


async def test_a_namespace_goes_with_its_agents_and_without_a_complaint(doomed: Cluster, start: Start) -> None:
    with structlog.testing.capture_logs() as said:
        await start()
        await ready(doomed, "agent")
        await asyncio.to_thread(delete, doomed)
        await until(lambda: gone(doomed), within=60)
    assert complaints(doomed, said) == []


async def test_what_is_refused_while_the_namespace_ends_is_no_failure_of_the_agent(
    doomed: Cluster, start: Start, kube_apiserver: KubeApiserver
) -> None:
    with structlog.testing.capture_logs() as said:
        await start()
        await ready(doomed, "agent")
        # Being terminated, with nobody who deletes what is in it.
        kube_apiserver.pause(CONTROLLERS)
        await asyncio.to_thread(delete, doomed)
        await asyncio.to_thread(doomed.apply, "agent", {"eventing": {"subscriptions": [{"eventType": "c.d"}]}})
        refused = await until(lambda: [line for line in about(doomed, said) if "being terminated" in str(line)])
        assert {line["log_level"] for line in refused} == {"info"}
        before = about(doomed, said)
        assert doomed.agent("agent")["status"]["phase"] == "Ready"
        await asyncio.sleep(1.5)
        assert about(doomed, said) == before, "it is tried in a loop"
        kube_apiserver.resume(CONTROLLERS)
        await until(lambda: gone(doomed), within=60)
    assert complaints(doomed, said) == []
