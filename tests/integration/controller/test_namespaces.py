"""The operator that looks after a list of namespaces, with rights in these and nowhere else.

One of the list is not there when it starts: what the API server refuses because of that is not held against it
(`witness`), so the tests that need no such namespace count refusals themselves.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.parts import crds, roles
from tests.parts.cluster import Cluster, Start, until
from tests.parts.knative import mark_all_ready
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.controller import served_apis
from lambdaagent.kube import rights

KNATIVE, APPS = ("serving.knative.dev/v1", "services"), ("apps/v1", "deployments")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
Stop = Callable[[], Awaitable[None]]


@pytest.fixture
def second(kube_apiserver: KubeApiserver) -> Iterator[Cluster]:
    """Creates a second namespace of the list."""
    yield from _namespace(kube_apiserver, f"test-{secrets.token_hex(4)}")


@pytest.fixture
def outside(kube_apiserver: KubeApiserver) -> Iterator[Cluster]:
    """Creates a namespace that is not in the list."""
    yield from _namespace(kube_apiserver, f"test-{secrets.token_hex(4)}")


def _namespace(server: KubeApiserver, name: str) -> Iterator[Cluster]:
    server.rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
    yield Cluster(server, name)
    server.rest.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def namespaces(namespace: str, second: Cluster) -> list[str]:
    return [namespace, second.namespace]


@pytest.fixture
def applied(kube_apiserver: KubeApiserver, namespace: str, namespaces: list[str]) -> Iterator[str]:
    """Applies the rights for the listed namespaces, and none over the whole cluster."""
    with roles.applied(kube_apiserver, namespace, namespaces):
        yield namespace


@pytest.fixture
def kubeconfig(kube_apiserver: KubeApiserver, applied: str, namespaces: list[str]) -> Path:
    return roles.kubeconfig(kube_apiserver, applied, rights.OPERATOR, over=namespaces)


@pytest.mark.parametrize("serving", ["knative", "kubernetes"])
async def test_agents_of_the_list_live_and_others_are_left_alone(
    serving: str, cluster: Cluster, second: Cluster, outside: Cluster, start: Start, namespaces: list[str]
) -> None:
    kind = KNATIVE if serving == "knative" else APPS
    await start(serving=serving, namespaces=namespaces)
    for each in (outside, cluster, second):
        await asyncio.to_thread(each.apply, "agent", {"eventing": {"subscriptions": [{"eventType": "a.b"}]}})
    for each in (cluster, second):
        await until(lambda each=each: each.find(*kind, "agent"))  # type: ignore[misc]
        await until(lambda each=each: each.names("eventing.knative.dev/v1", "triggers"))  # type: ignore[misc]
        _deployed(each)
        mark_all_ready(each.rest, namespace=each.namespace)
        await until(lambda each=each: each.has("agent", "Ready", "True"))  # type: ignore[misc]
        each.rest.delete(f"{each.agents}/agent")
        await until(lambda each=each: each.agent("agent") is None and not each.names(*kind))  # type: ignore[misc]
    assert "status" not in outside.agent("agent")
    assert outside.names(*kind) == []


def _deployed(cluster: Cluster) -> None:
    for name in cluster.names(*APPS):
        path = cluster.path(*APPS, name)
        generation = cluster.rest.get(path)["metadata"]["generation"]
        conditions = [{"type": "Available", "status": "True"}]
        status = {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "conditions": conditions}
        cluster.rest.merge(f"{path}/status", {"status": status})


async def test_a_forward_out_of_the_list_says_where_to_look(
    cluster: Cluster, outside: Cluster, start: Start, namespaces: list[str]
) -> None:
    outside.apply("target", {"eventing": {}})
    await start(namespaces=namespaces)
    forward = {"eventTypes": ["a.b"], "targetAgent": "target", "targetNamespace": outside.namespace}
    spec = {
        "eventing": {"forwards": [forward]},
        "permissions": {"allowedTargetNamespaces": [outside.namespace]},
    }
    await asyncio.to_thread(cluster.apply, "sender", spec)
    missing = await until(lambda: cluster.has("sender", "ForwardsResolved", "False"))
    assert missing["reason"] == "TargetNotFound"
    assert "LAMBDAAGENT_NAMESPACES" in missing["message"]


async def test_an_api_that_comes_later_is_noticed_without_a_right_to_crds(
    cluster: Cluster, start: Start, namespaces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_apis, "ASK_SECONDS", 0.5)
    for crd in cluster.rest.get(CRDS)["items"]:
        if crd["spec"]["group"] == "serving.knative.dev":
            cluster.rest.delete(f"{CRDS}/{crd['metadata']['name']}")
    try:
        await until(lambda: "serving.knative.dev" not in str(cluster.rest.get("/apis")))
        await start(serving="auto", eventing="none", namespaces=namespaces)
        await asyncio.to_thread(cluster.apply, "mover", {})
        await until(lambda: cluster.find(*APPS, "mover"))
    finally:
        await asyncio.to_thread(crds.install, cluster.rest)
    await until(lambda: cluster.find(*KNATIVE, "mover"))
    await until(lambda: cluster.find(*APPS, "mover") is None)


async def test_nothing_is_granted_outside_of_the_list(
    kube_apiserver: KubeApiserver, kubeconfig: Path, namespaces: list[str], outside: Cluster
) -> None:
    operator = roles.as_account(kube_apiserver, kubeconfig)
    for action in (
        f"list lambdaagents.{roles.LAMBDA}",
        "create deployments.apps",
        "list customresourcedefinitions.apiextensions.k8s.io",
        "list namespaces",
        "create leases.coordination.k8s.io",
    ):
        assert not roles.may(operator, action, ""), action
        assert not roles.may(operator, action, outside.namespace), action
    for namespace in namespaces:
        assert roles.may(operator, "create deployments.apps", namespace)
        assert not roles.may(operator, "get secrets", namespace)


class TestOneOfThemIsNotThere:
    """RBAC refuses a namespace without a binding; the operator goes on with the others."""

    @pytest.fixture
    def missing(self) -> str:
        return f"test-{secrets.token_hex(4)}"

    @pytest.fixture
    def witness(self) -> None:
        """Allows refused requests, which these tests cause."""

    async def test_the_others_go_on_and_it_joins_when_it_comes(
        self, cluster: Cluster, start: Start, namespaces: list[str], missing: str
    ) -> None:
        await start(serving="kubernetes", eventing="none", namespaces=[*namespaces, missing])
        await asyncio.to_thread(cluster.apply, "here", {})
        await until(lambda: cluster.find(*APPS, "here"))
        for _ in range(2):  # it comes, goes, and comes again
            for each in _namespace(cluster.server, missing):
                _bind(each, home=cluster.namespace)
                await asyncio.to_thread(each.apply, "late", {})
                await until(lambda each=each: each.find(*APPS, "late"), within=60)  # type: ignore[misc]
                each.rest.delete(f"{each.agents}/late")
                await until(lambda each=each: each.agent("late") is None)  # type: ignore[misc]
            await until(lambda: cluster.rest.find(f"/api/v1/namespaces/{missing}") is None)
        await asyncio.to_thread(cluster.apply, "after", {})
        await until(lambda: cluster.find(*APPS, "after"))


def _bind(cluster: Cluster, *, home: str) -> None:
    """Applies the bindings in a namespace, as who creates a namespace of the list must."""
    for document in rights.documents(namespace=home, namespaces=[cluster.namespace]):
        if document["metadata"].get("namespace") == cluster.namespace:
            name = document["metadata"]["name"]
            cluster.rest.apply(cluster.path("rbac.authorization.k8s.io/v1", "rolebindings", name), document)
