"""Writes an Event about an object, for `kubectl describe`. Only transitions should get one: repeats are not counted."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from lambdaagent.clock import rfc3339
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import EVENT

_NOTE_LIMIT = 1024  # bytes, of the API


def utc_now() -> datetime:
    return datetime.now(UTC)


def micro_time(moment: datetime) -> str:
    """Return the time as the API's MicroTime, always in UTC."""
    return rfc3339(moment, digits="microseconds")


async def emit(
    client: KubeClient,
    about: Mapping[str, Any],
    *,
    reason: str,
    note: str,
    action: str,
    reporter: str,
    instance: str,
    kind: Literal["Normal", "Warning"] = "Normal",
    now: Callable[[], datetime] = utc_now,
) -> None:
    """Write an Event. `reason` and `action` are UpperCamelCase words; `reporter` is a domain name, `instance` a pod."""
    metadata = about["metadata"]
    namespace = metadata.get("namespace") or "default"
    document = {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"generateName": f"{metadata['name'][:240]}-", "namespace": namespace},
        "eventTime": micro_time(now()),
        "type": kind,
        "reason": reason,
        "action": action,
        "note": note.encode()[:_NOTE_LIMIT].decode(errors="ignore"),
        "reportingController": reporter,
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
    }
    await client.request(
        "POST",
        EVENT.path(namespace=namespace),
        action="record an Event about",
        target=f"{about['kind']} {namespace}/{metadata['name']}",
        query={"fieldManager": reporter},
        body=document,
    )
