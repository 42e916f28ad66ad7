"""The whole operator while the API server, the network or a webhook misbehaves: late perhaps, never wrong or deaf."""

import asyncio
import functools
import gc
import random
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.parts.cluster import Cluster, Start, until
from tests.parts.faulty import Faulty, faulty, refusal
from tests.parts.knative import mark_all_ready
from tests.parts.kubernetes import KubeApiserver
from tests.parts.proxy import Proxy, proxy

KNATIVE, EVENTING = "serving.knative.dev/v1", "eventing.knative.dev/v1"
SUBSCRIBED: dict[str, Any] = {"eventing": {"subscriptions": [{"eventType": "a.b"}, {"eventType": "c.d"}]}}
# kopf leaves connections behind that an outage cut while it ended; they are its own, and go with it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture(autouse=True)
def _swept() -> Iterator[None]:
    yield
    gc.collect()  # here, and not in somebody else's test


@pytest.fixture
async def between(kube_apiserver: KubeApiserver) -> AsyncIterator[Faulty]:
    context = ssl.create_default_context(cafile=str(kube_apiserver.ca))
    async with faulty(kube_apiserver.url, context=context) as found:
        yield found


@pytest.fixture
async def line(kube_apiserver: KubeApiserver) -> AsyncIterator[Proxy]:
    async with proxy(kube_apiserver.port) as found:
        yield found


def complete(cluster: Cluster, name: str) -> bool:
    triggers = [found for found in cluster.names(EVENTING, "triggers") if found.startswith(f"{name}-")]
    return bool(cluster.find(KNATIVE, "services", name)) and len(triggers) == 2


async def test_in_a_storm_of_refusals_everything_arrives_in_the_end(
    cluster: Cluster, start: Start, between: Faulty, kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(4)
    storm = (
        functools.partial(refusal, 409, "Conflict"),
        functools.partial(refusal, 429, "TooManyRequests", retry_after=1),
        functools.partial(refusal, 500, "InternalError"),
        functools.partial(refusal, 503, "ServiceUnavailable"),
        functools.partial(refusal, 504, "Timeout"),
    )

    async def judge(request: web.Request) -> web.StreamResponse | None:
        # It passes before pauses between attempts have grown to a minute, as they rightly do.
        over = between.refused > 60
        if over or "/leases/" in request.path or request.query.get("watch") or chance.random() > 0.2:
            return None
        return chance.choice(storm)()

    between.judge = judge
    url = kube_apiserver.kubeconfig_for(url=between.url, namespace=cluster.namespace)
    monkeypatch.setenv("KUBECONFIG", str(url))
    names = [f"storm{number}" for number in range(6)]
    for name in names:
        await asyncio.to_thread(cluster.apply, name, SUBSCRIBED)
    await start()
    for name in names:
        await until(functools.partial(complete, cluster, name), within=120)
    mark_all_ready(cluster.rest, namespace=cluster.namespace)
    for name in names:
        await until(functools.partial(cluster.has, name, "Ready", "True"), within=120)
        cluster.rest.delete(f"{cluster.agents}/{name}")
    for name in names:
        await until(lambda name=name: cluster.agent(name) is None, within=120)  # type: ignore[misc]
    assert cluster.names(EVENTING, "triggers") == [] == cluster.names(EVENTING, "brokers")
    assert between.refused > 20


async def test_agents_that_wait_for_a_slow_webhook_slow_nobody_else(
    cluster: Cluster, start: Start, between: Faulty, kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = 0

    async def judge(request: web.Request) -> web.StreamResponse | None:
        nonlocal waiting
        if request.method in _WRITES and "/services/slow" in request.path:
            waiting += 1
            await asyncio.sleep(10)
            return refusal(500, "InternalError")
        return None

    between.judge = judge
    url = kube_apiserver.kubeconfig_for(url=between.url, namespace=cluster.namespace)
    monkeypatch.setenv("KUBECONFIG", str(url))
    for number in range(3):
        await asyncio.to_thread(cluster.apply, f"slow{number}", {})
    await start(workers=4)
    await until(lambda: waiting >= 3, within=40)
    await asyncio.to_thread(cluster.apply, "quick", {})
    await until(lambda: cluster.find(KNATIVE, "services", "quick"), within=5)


async def test_an_api_server_that_goes_away_and_comes_back_is_caught_up_with(
    cluster: Cluster, start: Start, line: Proxy, kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{line.port}", namespace=cluster.namespace)
    monkeypatch.setenv("KUBECONFIG", str(url))
    await asyncio.to_thread(cluster.apply, "before", SUBSCRIBED)
    await start()
    await until(lambda: complete(cluster, "before"))
    line.refuse()
    # Longer than the Lease of these tests: leadership is lost and found again.
    await asyncio.to_thread(cluster.apply, "during", SUBSCRIBED)
    cluster.rest.delete(cluster.path(KNATIVE, "services", "before"))
    await asyncio.sleep(5)
    kube_apiserver.compact()
    assert cluster.find(KNATIVE, "services", "during") is None
    line.heal()
    await until(lambda: complete(cluster, "during") and complete(cluster, "before"), within=120)


async def test_a_leader_that_is_cut_off_writes_no_more_and_another_one_leads(
    cluster: Cluster, start: Start, line: Proxy, kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = Path(str(kube_apiserver.kubeconfig_for(namespace=cluster.namespace)))
    cut = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{line.port}", namespace=cluster.namespace)
    monkeypatch.setenv("KUBECONFIG", str(cut))
    await start(POD_NAME="first", gateway_image="example.com/gateway:1")
    await asyncio.to_thread(cluster.apply, "one", {})
    await until(lambda: cluster.find(KNATIVE, "services", "one"))
    line.partition()
    monkeypatch.setenv("KUBECONFIG", str(direct))
    await start(POD_NAME="second", gateway_image="example.com/gateway:1")
    lease = f"/apis/coordination.k8s.io/v1/namespaces/{cluster.namespace}/leases/lambdaagent-operator"
    held = cluster.rest.get(lease)["spec"]
    assert held["holderIdentity"].startswith("second_")
    await asyncio.to_thread(cluster.apply, "two", {})
    await until(lambda: cluster.find(KNATIVE, "services", "two"))
    line.heal()
    await asyncio.sleep(2)
    still = cluster.rest.get(lease)["spec"]
    assert (still["holderIdentity"], still["leaseTransitions"]) == (held["holderIdentity"], held["leaseTransitions"])


async def test_an_agent_that_is_deleted_while_it_is_created_twice_leaves_nothing(
    cluster: Cluster, start: Start
) -> None:
    await start()
    for _ in range(2):
        await asyncio.to_thread(cluster.apply, "brief", SUBSCRIBED)
        cluster.rest.delete(f"{cluster.agents}/brief")
        await asyncio.to_thread(_apply_when_gone, cluster)
        cluster.rest.delete(f"{cluster.agents}/brief")
    await until(lambda: cluster.agent("brief") is None)
    for group, plural in ((KNATIVE, "services"), (EVENTING, "triggers"), (EVENTING, "brokers"), ("v1", "services")):
        await until(functools.partial(lambda g, p: cluster.names(g, p) == [], group, plural))


def _apply_when_gone(cluster: Cluster) -> None:
    """Applies an agent as soon as the name is free, as `kubectl replace --force` does."""
    from tests.parts.polling import wait

    wait(lambda: cluster.agent("brief") is None)
    cluster.apply("brief", SUBSCRIBED)


async def test_two_hundred_subscriptions_and_the_longest_name_are_served(cluster: Cluster, start: Start) -> None:
    await start()
    name = "a" * 63
    subscriptions = [{"eventType": f"io.example.type-{number:03d}"} for number in range(200)]
    await asyncio.to_thread(cluster.apply, name, {"eventing": {"subscriptions": subscriptions}})
    await until(lambda: len(cluster.names(EVENTING, "triggers")) == 200, within=120)
    assert all(len(trigger) <= 63 for trigger in cluster.names(EVENTING, "triggers"))
    cluster.rest.delete(f"{cluster.agents}/{name}")
    await until(lambda: cluster.agent(name) is None, within=120)
    assert cluster.names(EVENTING, "triggers") == []
