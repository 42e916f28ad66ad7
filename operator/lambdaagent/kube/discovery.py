"""Finds which APIs the cluster serves; `auto` backends and the kinds of children depend on it."""

from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import NotFoundError
from lambdaagent.kube.resources import Resource


async def served_versions(client: KubeClient) -> frozenset[str]:
    """Return every served `group/version`, such as `serving.knative.dev/v1`."""
    answer = await client.request("GET", "/apis", action="list", target="the APIs of the cluster")
    return frozenset(version["groupVersion"] for group in answer["groups"] for version in group["versions"])


async def serves(client: KubeClient, resource: Resource) -> bool:
    """Whether the kind itself is served. A served group does not show it: Eventing alone serves
    `eventing.knative.dev` without the kind of the RabbitMQ broker's configuration."""
    try:
        answer = await client.request("GET", resource.root, action="look up", target=resource.label)
    except NotFoundError:
        return False
    return any(found["name"] == resource.plural for found in answer["resources"])
