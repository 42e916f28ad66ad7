"""Finds the image of sidecars: LAMBDAAGENT_GATEWAY_IMAGE, or else the image of this process itself.

An overlay that changes the images of a manifest changes containers and not variables. The operator therefore reads its
own Pod once, before the first reconcile. Invariant: a process in a Pod that does not show the image does not start.
Without an image, sidecars would be removed from the pods that have them.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.children.base import Object
from lambdaagent.errors import PermanentError, TemporaryError, UsageError
from lambdaagent.kube import objects
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import POD
from lambdaagent.settings import OperatorSettings

CONTAINER = "operator"
_REMEDY = "or set LAMBDAAGENT_GATEWAY_IMAGE to the image of this installation"
log = structlog.get_logger(__name__)


async def with_sidecar_image(
    client: KubeClient, settings: OperatorSettings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> OperatorSettings:
    """Return the settings with the image filled in; outside of a Pod (no POD_NAME) it stays empty.

    Waits while the API server does not answer. Raises UsageError if the image cannot be read from the Pod.
    """
    if settings.gateway_image or not settings.pod_name:
        return settings
    namespace, backoff = settings.pod_namespace or client.namespace, Backoff()
    while True:
        try:
            pod = await objects.get(client, POD, name=settings.pod_name, namespace=namespace)
            break
        except TemporaryError as problem:
            seconds = backoff.next()
            log.warning("sidecar.image_read_failed", error=str(problem), retry_seconds=round(seconds, 1))
            await sleep(seconds)
        except PermanentError as problem:
            raise UsageError(
                f"the image of sidecars is this Pod's own, which cannot be read: {problem} Apply the roles that "
                f"`lambdaagent rbac` prints, {_REMEDY}"
            ) from problem
    image = _image(pod, f"{namespace}/{settings.pod_name}")
    log.info("sidecar.image_found", image=image)
    return settings.model_copy(update={"gateway_image": image})


def _image(pod: Object, name: str) -> str:
    """Return the image of the container with our name; other containers in the Pod were injected, in any position."""
    images = {unit["name"]: str(unit.get("image") or "") for unit in pod["spec"]["containers"]}
    if not images.get(CONTAINER):
        there = ", ".join(sorted(images))
        raise UsageError(
            f"the image of sidecars is that of the container {CONTAINER!r}, which is not in Pod {name} (it has: "
            f"{there}): name the operator's container so, {_REMEDY}"
        )
    return images[CONTAINER]
