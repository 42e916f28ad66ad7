"""Reads, deletes and patches objects of any kind.

Nothing here replaces a whole object. The only writes to an object of another owner change its finalizers, and they are
guarded by the version that was read, because other controllers share the list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdaagent.children.base import Object
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import ConflictError, NotFoundError
from lambdaagent.kube.resources import Resource, of

_PAGE = 500
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Object, ...]
    resource_version: str


async def get(client: KubeClient, resource: Resource, *, name: str, namespace: str | None = None) -> Object:
    answer: Object = await client.request(
        "GET",
        resource.path(namespace=namespace, name=name),
        action="read",
        target=resource.named(namespace=namespace, name=name),
    )
    return answer


async def find(client: KubeClient, resource: Resource, *, name: str, namespace: str | None = None) -> Object | None:
    """Return the object; None if it is missing or the cluster does not serve its kind."""
    try:
        return await get(client, resource, name=name, namespace=namespace)
    except NotFoundError:
        return None


async def list_objects(
    client: KubeClient,
    resource: Resource,
    *,
    namespace: str | None = None,
    labels: str = "",
    fields: str = "",
    metadata_only: bool = False,
    keep: Callable[[Object], Object] = lambda item: item,
) -> Listing:
    """List all objects, in pages; without a namespace, of all namespaces. Items carry apiVersion and kind.

    `keep` reduces each item while its page is read, so that a large listing is not held in memory twice.
    """
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    items: list[Object] = []
    query = {"limit": str(_PAGE)} | _selectors(labels=labels, fields=fields)
    while True:
        page = await client.request(
            "GET",
            resource.path(namespace=namespace),
            action="list",
            target=resource.named(namespace=namespace),
            query=query,
            accept=f"{_METADATA},application/json" if metadata_only else "application/json",
        )
        # Items of a typed list lack apiVersion and kind, and metadata alone has a kind of its own. An empty list of
        # metadata is null.
        items += [keep(item | kind) for item in page["items"] or ()]
        more = page["metadata"].get("continue")
        if not more:
            return Listing(tuple(items), page["metadata"]["resourceVersion"])
        query["continue"] = more


async def delete(
    client: KubeClient,
    resource: Resource,
    *,
    name: str,
    namespace: str | None = None,
    uid: str | None = None,
    resource_version: str | None = None,
    propagation: str = "Background",
) -> bool:
    """Delete an object; return False if it was already gone. With a `uid` or `resource_version`, raises ConflictError
    if the object has another one."""
    expected = {"uid": uid, "resourceVersion": resource_version}
    body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
    if preconditions := {key: value for key, value in expected.items() if value}:
        body["preconditions"] = preconditions
    try:
        await client.request(
            "DELETE",
            resource.path(namespace=namespace, name=name),
            action="delete",
            target=resource.named(namespace=namespace, name=name),
            body=body,
        )
    except NotFoundError:
        return False
    return True


async def merge_patch(
    client: KubeClient,
    resource: Resource,
    *,
    name: str,
    patch: Mapping[str, Any],
    manager: str,
    namespace: str | None = None,
    subresource: str | None = None,
) -> Object:
    answer: Object = await client.request(
        "PATCH",
        resource.path(namespace=namespace, name=name, subresource=subresource),
        action="patch",
        target=resource.named(namespace=namespace, name=name),
        query={"fieldManager": manager, "fieldValidation": "Strict"},
        body=dict(patch),
        content_type="application/merge-patch+json",
    )
    return answer


async def add_owner(client: KubeClient, document: Object, reference: Mapping[str, Any], *, manager: str) -> Object:
    """Append an owner reference to the list that the server has then; a second call appends it a second time."""
    metadata = document["metadata"]
    resource, name, namespace = of(document), metadata["name"], metadata.get("namespace")
    if not metadata.get("ownerReferences"):
        # There is no list to append to; the version guards against a writer that creates it now.
        patch = {"metadata": {"ownerReferences": [dict(reference)], "resourceVersion": metadata["resourceVersion"]}}
        try:
            return await merge_patch(client, resource, name=name, namespace=namespace, patch=patch, manager=manager)
        except ConflictError:
            document = await get(client, resource, name=name, namespace=namespace)
            found = document["metadata"]
            if found["uid"] != metadata["uid"] or not found.get("ownerReferences"):
                raise
            # Another writer has created the list in between, so the reference can be appended.
            return await add_owner(client, document, reference, manager=manager)
    return await json_patch(
        client,
        resource,
        name=name,
        namespace=namespace,
        action="add an owner to",
        patch=[
            {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]},
            {"op": "add", "path": "/metadata/ownerReferences/-", "value": dict(reference)},
        ],
        manager=manager,
    )


async def json_patch(
    client: KubeClient,
    resource: Resource,
    *,
    name: str,
    patch: Sequence[Mapping[str, Any]],
    manager: str,
    namespace: str | None = None,
    action: str = "patch",
) -> Object:
    answer: Object = await client.request(
        "PATCH",
        resource.path(namespace=namespace, name=name),
        action=action,
        target=resource.named(namespace=namespace, name=name),
        query={"fieldManager": manager, "fieldValidation": "Strict"},
        body=[dict(operation) for operation in patch],
        content_type="application/json-patch+json",
    )
    return answer


async def set_finalizers(client: KubeClient, document: Object, finalizers: Sequence[str], *, manager: str) -> Object:
    """Write the whole list. Raises ConflictError if the object is no longer the version in `document`."""
    metadata = document["metadata"]
    patch = {"metadata": {"finalizers": list(finalizers), "resourceVersion": metadata["resourceVersion"]}}
    return await merge_patch(
        client,
        of(document),
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        patch=patch,
        manager=manager,
    )


def _selectors(*, labels: str, fields: str) -> dict[str, str]:
    found = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in found.items() if value}
