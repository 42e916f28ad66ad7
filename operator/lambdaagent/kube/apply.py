"""Server-side apply, the only way in which this package writes an object's desired state.

The field manager records what we wrote: a field that is absent from the next apply is removed if no other manager owns
it. Objects that several agents share are therefore applied without owner references, or the apply for one agent would
remove those of the others. Validation is strict, because a mistyped field would otherwise be pruned silently. An apply
that changes nothing writes nothing, and the resourceVersion stays.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from lambdaagent.children.base import Object
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import Resource, of

# With a parameter the library sends the body unchanged; without, it would escape what `_yaml` must not escape.
_CONTENT_TYPE = "application/apply-patch+yaml; charset=utf-8"
# Characters that YAML's reader refuses raw or takes for a line end (U+0085, U+2028, U+2029), but accepts escaped.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


async def apply(client: KubeClient, document: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
    """Return the applied object. Raises ConflictError if, without `force`, fields of other managers differ."""
    metadata = document["metadata"]
    return await _apply(
        client,
        of(document),
        document,
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        manager=manager,
        force=force,
    )


async def apply_status(
    client: KubeClient,
    resource: Resource,
    *,
    name: str,
    status: Mapping[str, Any],
    manager: str,
    namespace: str | None = None,
    resource_version: str | None = None,
    force: bool = True,
) -> Object:
    """Apply the status subresource. Conditions are merged by type, and each writer owns its own.

    With a `resource_version`, raises ConflictError if the object has another one. The server would ignore a uid.
    """
    metadata = {"name": name, "namespace": namespace, "resourceVersion": resource_version}
    document = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {key: value for key, value in metadata.items() if value},
        "status": dict(status),
    }
    return await _apply(
        client,
        resource,
        document,
        name=name,
        namespace=namespace,
        manager=manager,
        force=force,
        subresource="status",
    )


async def _apply(
    client: KubeClient,
    resource: Resource,
    document: Mapping[str, Any],
    *,
    name: str,
    namespace: str | None,
    manager: str,
    force: bool,
    subresource: str | None = None,
) -> Object:
    query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true" if force else "false"}
    answer: Object = await client.request(
        "PATCH",
        resource.path(namespace=namespace, name=name, subresource=subresource),
        action="apply the status of" if subresource else "apply",
        target=resource.named(namespace=namespace, name=name),
        query=query,
        body=_yaml(document),
        content_type=_CONTENT_TYPE,
    )
    return answer


def _yaml(document: Mapping[str, Any]) -> bytes:
    """Return JSON that is also YAML: the server reads an apply as YAML, which has no surrogate pairs."""
    text = orjson.dumps(document).decode()
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
