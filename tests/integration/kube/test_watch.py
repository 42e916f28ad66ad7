"""The watcher against a real API server whose network fails: no change is missed, not even a deletion in the gap."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
import structlog
from tests.parts.kubernetes import KubeApiserver
from tests.parts.polling import eventually
from tests.parts.proxy import proxy

from lambdaagent.kube import resources
from lambdaagent.kube.client import KubeClient, connect
from lambdaagent.kube.errors import PermanentApiError
from lambdaagent.kube.resources import Resource
from lambdaagent.kube.watch import ChangeType, Watcher, WatchEvent, WatchSettings

QUICK = WatchSettings(server_timeout=60, silence=1.0, backoff_first=0.05, backoff_cap=0.2)

UNCACHED = Resource("", "v1", "podtemplates", "PodTemplate")
"""The API server of the tests keeps no history of these in memory, so what etcd compacts is gone."""


@dataclass
class Followed:
    watcher: Watcher
    seen: list[WatchEvent] = field(default_factory=list)

    def types(self, name: str) -> list[str]:
        return [change.type.value for change in self.seen if change.key[1] == name]


@asynccontextmanager
async def follow(watcher: Watcher) -> AsyncIterator[Followed]:
    found = Followed(watcher)

    async def read() -> None:
        async with aclosing(watcher.changes()) as changes:
            async for change in changes:
                assert (change.key in watcher.objects) == (change.type is not ChangeType.DELETED)
                found.seen.append(change)

    task = asyncio.create_task(read())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled(), task.exception()


def put(server: KubeApiserver, namespace: str, name: str, value: str = "1") -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": value}}
    server.rest.apply(f"/api/v1/namespaces/{namespace}/configmaps/{name}", body)


def remove(server: KubeApiserver, namespace: str, name: str) -> None:
    server.rest.delete(f"/api/v1/namespaces/{namespace}/configmaps/{name}")


@pytest.fixture
def watcher(client: KubeClient, namespace: str) -> Watcher:
    return Watcher(client, resources.CONFIG_MAP, namespace=namespace, settings=QUICK)


async def test_what_exists_and_what_happens_is_seen_once(
    watcher: Watcher, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    put(kube_apiserver, namespace, "a")
    async with follow(watcher) as followed:
        await asyncio.wait_for(watcher.synced.wait(), 10)
        assert followed.types("a") == ["ADDED"]
        put(kube_apiserver, namespace, "a", "2")
        put(kube_apiserver, namespace, "b")
        remove(kube_apiserver, namespace, "a")
        await eventually(lambda: followed.types("a") == ["ADDED", "MODIFIED", "DELETED"])
        await eventually(lambda: followed.types("b") == ["ADDED"])
        assert list(watcher.objects) == [(namespace, "b")]
        modified = next(change for change in followed.seen if change.type is ChangeType.MODIFIED)
        assert modified.old is not None
        assert (modified.old["data"]["v"], modified.object["data"]["v"]) == ("1", "2")


async def test_the_server_ends_a_watch_and_it_is_continued_without_a_new_list(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    settings = WatchSettings(server_timeout=1, silence=30, backoff_first=0.05, backoff_cap=0.1)
    watcher = Watcher(client, resources.CONFIG_MAP, namespace=namespace, settings=settings)
    async with follow(watcher) as followed:
        await asyncio.wait_for(watcher.synced.wait(), 10)
        listed = watcher.fresh_at
        await eventually(lambda: watcher.fresh_at > listed + 2)
        put(kube_apiserver, namespace, "a")
        await eventually(lambda: followed.types("a") == ["ADDED"])
        assert watcher.error is None


async def test_changes_during_a_partition_are_seen_after_it(kube_apiserver: KubeApiserver, namespace: str) -> None:
    for name in ("gone", "changed", "kept", "replaced"):
        put(kube_apiserver, namespace, name)
    async with proxy(kube_apiserver.port) as network:
        path = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{network.port}")
        async with connect(kubeconfig=path, timeout=1) as client:
            watcher = Watcher(client, resources.CONFIG_MAP, namespace=namespace, settings=QUICK)
            async with follow(watcher) as followed:
                await eventually(lambda: watcher.synced.is_set() and watcher.age < 5)
                network.partition()
                remove(kube_apiserver, namespace, "gone")
                remove(kube_apiserver, namespace, "replaced")
                put(kube_apiserver, namespace, "replaced", "new")
                put(kube_apiserver, namespace, "changed", "2")
                put(kube_apiserver, namespace, "new")
                await eventually(lambda: watcher.error is not None)
                stale = watcher.fresh_at
                await eventually(lambda: watcher.age > 1)
                assert watcher.fresh_at == stale
                # What the blocked connections still hold must not count: they are gone for good.
                network.reset()
                network.heal()
                await eventually(lambda: followed.types("new") == ["ADDED"])
                await eventually(lambda: watcher.error is None)
                assert followed.types("gone") == ["ADDED", "DELETED"]
                assert followed.types("changed") == ["ADDED", "MODIFIED"]
                assert followed.types("kept") == ["ADDED"]
                assert followed.types("replaced") == ["ADDED", "DELETED", "ADDED"]


async def test_a_reset_connection_is_followed_by_a_list(kube_apiserver: KubeApiserver, namespace: str) -> None:
    async with proxy(kube_apiserver.port) as network:
        path = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{network.port}")
        async with connect(kubeconfig=path, timeout=5) as client:
            watcher = Watcher(client, resources.CONFIG_MAP, namespace=namespace, settings=QUICK)
            async with follow(watcher) as followed:
                await asyncio.wait_for(watcher.synced.wait(), 10)
                network.refuse()
                put(kube_apiserver, namespace, "a")
                await eventually(lambda: watcher.error is not None)
                network.heal()
                await eventually(lambda: followed.types("a") == ["ADDED"])


@pytest.mark.parametrize("steady", [0.0, 600.0])
async def test_a_connection_that_breaks_after_it_worked_is_no_failure(
    kube_apiserver: KubeApiserver, namespace: str, steady: float
) -> None:
    settings = replace(QUICK, silence=30, steady=steady)
    async with proxy(kube_apiserver.port) as network:
        path = kube_apiserver.kubeconfig_for(url=f"https://127.0.0.1:{network.port}")
        with structlog.testing.capture_logs() as said:
            async with connect(kubeconfig=path, timeout=5) as client:
                watcher = Watcher(client, resources.CONFIG_MAP, namespace=namespace, settings=settings)
                async with follow(watcher) as followed:
                    put(kube_apiserver, namespace, "a")
                    await eventually(lambda: followed.types("a") == ["ADDED"])
                    put(kube_apiserver, namespace, "a", "2")
                    await eventually(lambda: followed.types("a") == ["ADDED", "MODIFIED"])
                    network.reset()
                    put(kube_apiserver, namespace, "b")
                    await eventually(lambda: followed.types("b") == ["ADDED"])
    warned = [line for line in said if line["log_level"] == "warning"]
    assert bool(warned) == (steady > 0)


async def test_an_expired_version_is_listed_anew(
    client: KubeClient, kube_apiserver: KubeApiserver, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/podtemplates"
    pod = {"spec": {"containers": [{"name": "a", "image": "a"}]}}
    first = kube_apiserver.rest.post(path, {"metadata": {"name": "old"}, "template": pod})
    watcher = Watcher(client, UNCACHED, namespace=namespace, settings=QUICK)
    watcher._version = first["metadata"]["resourceVersion"]
    kube_apiserver.rest.post(path, {"metadata": {"name": "a"}, "template": pod})
    kube_apiserver.compact()
    async with follow(watcher) as followed:
        await eventually(watcher.synced.is_set)
        assert (followed.types("old"), followed.types("a")) == (["ADDED"], ["ADDED"])
        kube_apiserver.rest.delete(f"{path}/a")
        await eventually(lambda: followed.types("a") == ["ADDED", "DELETED"])


async def test_a_kind_that_is_not_served_is_waited_for(client: KubeClient, namespace: str) -> None:
    missing = Resource("absent.example", "v1", "things", "Thing")
    watcher = Watcher(client, missing, namespace=namespace, settings=QUICK)
    async with follow(watcher):
        await eventually(lambda: isinstance(watcher.error, PermanentApiError))
        assert not watcher.synced.is_set()
        assert watcher.age == float("inf")


async def test_an_object_of_megabytes_arrives(watcher: Watcher, kube_apiserver: KubeApiserver, namespace: str) -> None:
    async with follow(watcher) as followed:
        await asyncio.wait_for(watcher.synced.wait(), 10)
        put(kube_apiserver, namespace, "large", "x" * 900_000)
        await eventually(lambda: followed.types("large") == ["ADDED"])


async def test_labels_narrow_a_watch(client: KubeClient, kube_apiserver: KubeApiserver, namespace: str) -> None:
    watcher = Watcher(client, resources.CONFIG_MAP, namespace=namespace, labels="wanted=yes", settings=QUICK)
    async with follow(watcher) as followed:
        await asyncio.wait_for(watcher.synced.wait(), 10)
        put(kube_apiserver, namespace, "plain")
        path = f"/api/v1/namespaces/{namespace}/configmaps/plain"
        kube_apiserver.rest.merge(path, {"metadata": {"labels": {"wanted": "yes"}}})
        await eventually(lambda: followed.types("plain") == ["ADDED"])
        kube_apiserver.rest.merge(path, {"metadata": {"labels": {"wanted": "no"}}})
        await eventually(lambda: followed.types("plain") == ["ADDED", "DELETED"])
