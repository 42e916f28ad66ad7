"""Reading, listing, deleting, discovery and Events against a real API server."""

from pathlib import Path

import pytest
from tests.parts.kubernetes import KubeApiserver

from lambdaagent.children.base import Object
from lambdaagent.errors import UsageError
from lambdaagent.kube import apply, discovery, events, objects, resources
from lambdaagent.kube.client import KubeClient, connect
from lambdaagent.kube.errors import ConflictError


async def make(client: KubeClient, namespace: str, *names: str) -> list[Object]:
    return [
        await apply.apply(
            client,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": n, "namespace": namespace, "labels": {n: "1"}},
            },
            manager="m",
        )
        for n in names
    ]


async def test_a_list_has_all_pages_and_names_the_kind(
    client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_PAGE", 2)
    await make(client, namespace, "a", "b", "c", "d", "e")
    listing = await objects.list_objects(client, resources.CONFIG_MAP, namespace=namespace)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b", "c", "d", "e"]
    assert {item["kind"] for item in listing.items} == {"ConfigMap"}
    assert listing.resource_version


async def test_a_list_can_be_narrowed_by_labels_and_fields(client: KubeClient, namespace: str) -> None:
    await make(client, namespace, "a", "b")
    by_label = await objects.list_objects(client, resources.CONFIG_MAP, namespace=namespace, labels="b")
    by_field = await objects.list_objects(client, resources.CONFIG_MAP, namespace=namespace, fields="metadata.name=a")
    assert [item["metadata"]["name"] for item in by_label.items + by_field.items] == ["b", "a"]


async def test_a_deletion_spares_a_namesake(client: KubeClient, namespace: str) -> None:
    (old,) = await make(client, namespace, "a")
    assert await objects.delete(client, resources.CONFIG_MAP, name="a", namespace=namespace, uid=old["metadata"]["uid"])
    (new,) = await make(client, namespace, "a")
    with pytest.raises(ConflictError):
        await objects.delete(client, resources.CONFIG_MAP, name="a", namespace=namespace, uid=old["metadata"]["uid"])
    assert await objects.delete(client, resources.CONFIG_MAP, name="a", namespace=namespace, uid=new["metadata"]["uid"])
    assert not await objects.delete(client, resources.CONFIG_MAP, name="a", namespace=namespace)


async def test_served_apis_are_told_from_absent_ones(client: KubeClient) -> None:
    served = await discovery.served_versions(client)
    assert {"serving.knative.dev/v1", "apps/v1"} <= served
    assert "messaging.knative.dev/v1" not in served
    assert await discovery.serves(client, resources.BROKER_CONFIG)
    assert not await discovery.serves(client, resources.Resource("eventing.knative.dev", "v1", "sinks", "Sink"))
    assert not await discovery.serves(client, resources.Resource("absent.example", "v1", "things", "Thing"))


async def test_every_known_kind_is_served_where_its_group_is(client: KubeClient) -> None:
    for known in resources.KNOWN.values():
        if known != resources.LAMBDA_AGENT:
            assert await discovery.serves(client, known), known.label


async def test_an_event_about_an_object_is_recorded(client: KubeClient, namespace: str) -> None:
    (about,) = await make(client, namespace, "a")
    await events.emit(
        client, about, reason="Tested", note="x" * 2000, action="Test", reporter="example.com/tests", instance="one"
    )
    listing = await objects.list_objects(client, resources.EVENT, namespace=namespace)
    found = next(item for item in listing.items if item["reason"] == "Tested")
    assert (found["regarding"]["name"], len(found["note"])) == ("a", 1024)


async def test_the_namespace_comes_from_the_pod_or_else_from_the_kubeconfig(
    kube_apiserver: KubeApiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kube_apiserver.kubeconfig_for(namespace="from-context")))
    async with connect() as client:
        assert client.namespace == "from-context"
    monkeypatch.setenv("POD_NAMESPACE", "from-pod")
    async with connect() as client:
        assert client.namespace == "from-pod"


async def test_a_missing_kubeconfig_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Set KUBECONFIG"):
        async with connect(kubeconfig=tmp_path / "absent"):
            raise AssertionError("it connected")
