"""What the operator tells of itself over HTTP, and how it notices a cluster that changes."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.parts.cluster import Cluster, Start, until
from tests.parts.process import free_port

from lambdaagent.controller import health, served_apis
from lambdaagent.controller.metrics import OperatorMetrics
from lambdaagent.kube.client import KubeClient, connect

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def test_metrics_tell_agents_children_reconciles_and_the_leader(cluster: Cluster, start: Start) -> None:
    port = free_port()
    await start(port=port, eventing="none")
    await asyncio.to_thread(cluster.apply, "counted", {})
    await until(lambda: cluster.has("counted", "SpecValid", "True"))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz")).text == "leading\n"
        text = (await client.get("/metrics")).text
    assert "lambdaagent_operator_leader 1.0" in text
    assert 'lambdaagent_operator_agents{phase="Deploying"}' in text
    assert 'lambdaagent_operator_children{kind="Service.serving.knative.dev"}' in text
    assert 'lambdaagent_operator_reconciles_total{result="done"}' in text
    assert "counted" not in text, "names of agents are no label values"


class Deaf:
    depth = 0
    age = health.STALE_SECONDS + 1

    def phases(self) -> list[str]:
        return []

    def children(self) -> list[str]:
        return []


async def test_a_leader_that_hears_nothing_is_not_alive() -> None:
    metrics = OperatorMetrics()
    async with (
        health.serve(metrics, host="127.0.0.1", port=0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert (await client.get("/readyz")).text == "waiting for the lease\n"
        assert (await client.get("/healthz")).status_code == 200
        metrics.insight = Deaf()
        deaf = await client.get("/healthz")
        assert deaf.status_code == 503
        assert "has received nothing" in deaf.text


PROBES = "probes.monitoring.coreos.com"
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": PROBES},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"plural": "probes", "kind": "Probe"},
        "versions": [
            {"name": "v9", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
LATEST = 60.0  # seconds: a busy API server updates its discovery late


async def test_an_api_that_comes_and_one_that_goes_are_noticed(cluster: Cluster, kubeconfig: Path) -> None:
    async with connect(kubeconfig=kubeconfig) as client:
        noticed = await _noticing(client)
        await asyncio.to_thread(cluster.rest.post, CRDS, CRD)
        await asyncio.wait_for(noticed, LATEST)
        await until(lambda: "monitoring.coreos.com/v9" in str(cluster.rest.get("/apis")))
        noticed = await _noticing(client)
        await asyncio.to_thread(cluster.rest.delete, f"{CRDS}/{PROBES}")
        await asyncio.wait_for(noticed, LATEST)


async def test_a_change_is_noticed_that_discovery_shows_late(
    cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_apis, "ASK_SECONDS", 1.0)
    monkeypatch.setattr(served_apis, "_LOOKS", 1)
    async with connect(kubeconfig=kubeconfig) as client:
        noticed = await _noticing(Late(client, answers=6))  # type: ignore[arg-type]
        await asyncio.to_thread(cluster.rest.post, CRDS, CRD)
        await asyncio.wait_for(noticed, LATEST)
        await asyncio.to_thread(cluster.rest.delete, f"{CRDS}/{PROBES}")
        await until(lambda: "monitoring.coreos.com/v9" not in str(cluster.rest.get("/apis")), within=LATEST)


async def test_a_change_before_the_watch_is_noticed(cluster: Cluster, kubeconfig: Path) -> None:
    async with connect(kubeconfig=kubeconfig) as client:
        known = await served_apis.served(client)
        with_another = known | {"monitoring.coreos.com/v9"}
        await asyncio.wait_for(served_apis.other_than(client, with_another), LATEST)


class Late:
    """The real API server, except that `answers` answers of its discovery are the first one again."""

    def __init__(self, client: KubeClient, *, answers: int) -> None:
        self.client, self.left = client, answers
        self.first: dict[str, Any] = {}

    async def request(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.client.request(method, path, **options)
        if path == "/apis" and self.left:
            self.left -= 1
            return self.first.setdefault(path, answer)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


async def _noticing(client: KubeClient) -> asyncio.Task[None]:
    task = asyncio.create_task(served_apis.other_than(client, await served_apis.served(client)))
    done, _ = await asyncio.wait([task], timeout=1.0)  # listed by then; what was there before is no news
    assert not done
    return task


async def test_knative_eventing_without_rabbitmqs_kinds_is_not_taken_for_it(cluster: Cluster, kubeconfig: Path) -> None:
    async with connect(kubeconfig=kubeconfig) as client:
        assert "eventing.knative.dev/v1alpha1" in await served_apis.served(client)
        without = Unserved(client, "/apis/eventing.knative.dev/v1alpha1")
        assert "eventing.knative.dev/v1alpha1" not in await served_apis.served(without)  # type: ignore[arg-type]


class Unserved:
    """The real API server, except that one path lists a single other kind, as if the cluster had a part of Knative."""

    def __init__(self, client: Any, path: str) -> None:
        self.client, self.path = client, path

    async def request(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.client.request(method, path, **options)
        return answer | {"resources": [{"name": "eventpolicies"}]} if path == self.path else answer
