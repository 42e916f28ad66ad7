"""Server-side apply: the one way in which this package writes what it wants an object to be.

The field manager is the memory of what we wrote: a field that is left out of the next apply is removed, if nobody else
owns it. Objects that several agents share therefore need one manager per agent, or the owner reference of one removes
the others'. Validation is strict, because a mistyped field that the schema prunes would vanish without a word. An
apply that changes nothing writes nothing: the resourceVersion stays.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.objects import Document
from lambdaagent.kube.resources import Resource, of

# With a parameter the library takes the body as it is; without, it would escape what `_yaml` must not.
_CONTENT_TYPE = "application/apply-patch+yaml; charset=utf-8"
# What YAML's reader refuses to see raw, or takes for the end of a line (U+0085, U+2028, U+2029), but takes escaped.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


async def apply(
    client: KubeClient, document: Mapping[str, Any], *, manager: str, force: bool = True, dry_run: bool = False
) -> Document:
    """The object as it then is; without `force`, fields of other managers that differ are a ConflictError."""
    metadata = document["metadata"]
    return await _apply(
        client,
        of(document),
        document,
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        manager=manager,
        force=force,
        dry_run=dry_run,
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
) -> Document:
    """Applies the status subresource: conditions are merged by type, each writer owns its own.

    With a resource_version, only that version is written (else ConflictError); a uid would be ignored by the server.
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
        dry_run=False,
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
    dry_run: bool,
    subresource: str | None = None,
) -> Document:
    query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true" if force else "false"}
    answer: Document = await client.request(
        "PATCH",
        resource.path(namespace=namespace, name=name, subresource=subresource),
        action="apply the status of" if subresource else "apply",
        target=resource.named(namespace=namespace, name=name),
        query=query | ({"dryRun": "All"} if dry_run else {}),
        body=_yaml(document),
        content_type=_CONTENT_TYPE,
    )
    return answer


def _yaml(document: Mapping[str, Any]) -> bytes:
    """JSON that is YAML too: the server reads an apply as YAML, which has no surrogate pairs."""
    text = orjson.dumps(document).decode()
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()
