"""Which APIs the cluster serves: what `auto` backends are decided by, and whether a child's kind can exist at all."""

from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import NotFoundError
from lambdaagent.kube.resources import Resource


async def served_versions(client: KubeClient) -> frozenset[str]:
    """Every served `group/version`, such as `serving.knative.dev/v1`."""
    answer = await client.request("GET", "/apis", action="list", target="the APIs of the cluster")
    return frozenset(version["groupVersion"] for group in answer["groups"] for version in group["versions"])


async def serves(client: KubeClient, resource: Resource) -> bool:
    """A served group says little: Eventing alone serves `eventing.knative.dev` without the RabbitMQ broker's kind."""
    try:
        answer = await client.request("GET", resource.root, action="look up", target=resource.label)
    except NotFoundError:
        return False
    return any(found["name"] == resource.plural for found in answer["resources"])
