"""Writes the status of Services, Brokers and Triggers in the place of Knative's controllers, which no test runs.

A status has what the real ones have: observedGeneration, every condition of the kind, and the address for callers in
the cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.parts.rest import Rest


@dataclass(frozen=True)
class Kind:
    path: str
    conditions: tuple[str, ...]
    addressable: str = ""


SERVICE = Kind(
    "/apis/serving.knative.dev/v1/namespaces/{namespace}/services/{name}",
    ("ConfigurationsReady", "Ready", "RoutesReady"),
    "http://{name}.{namespace}.svc.cluster.local",
)
BROKER = Kind(
    "/apis/eventing.knative.dev/v1/namespaces/{namespace}/brokers/{name}",
    ("Addressable", "DLXReady", "DeadLetterSinkReady", "ExchangeReady", "IngressReady", "Ready", "SecretReady"),
    "http://{name}-broker-ingress.{namespace}.svc.cluster.local",
)
TRIGGER = Kind(
    "/apis/eventing.knative.dev/v1/namespaces/{namespace}/triggers/{name}",
    (
        "BrokerReady",
        "DeadLetterSinkResolved",
        "DependencyReady",
        "OIDCIdentityCreated",
        "Ready",
        "SubscriberResolved",
        "SubscriptionReady",
    ),
)
_KINDS = {"Service": SERVICE, "Broker": BROKER, "Trigger": TRIGGER}


def mark_ready(rest: Rest, kind: str, *, namespace: str, name: str, generation: int | None = None) -> Any:
    """Reports a Service, Broker or Trigger as ready; `generation` may be older than that of the object."""
    found = _KINDS[kind]
    extra: dict[str, Any] = {}
    if found.addressable:
        url = found.addressable.format(namespace=namespace, name=name)
        extra["address"] = {"url": url}
        if kind == "Service":
            extra |= {
                "url": url,
                "latestCreatedRevisionName": f"{name}-00001",
                "latestReadyRevisionName": f"{name}-00001",
                "traffic": [{"revisionName": f"{name}-00001", "latestRevision": True, "percent": 100}],
            }
    if kind == "Trigger":
        extra["subscriberUri"] = f"http://{name}.{namespace}.svc.cluster.local"
    conditions = [condition_of(type_, "True") for type_ in found.conditions]
    return _set(rest, found, namespace=namespace, name=name, generation=generation, conditions=conditions, extra=extra)


def mark_failed(
    rest: Rest,
    kind: str,
    *,
    namespace: str,
    name: str,
    reason: str,
    message: str,
    condition: str = "",
    generation: int | None = None,
) -> Any:
    """Reports Ready=False with this reason; `condition` names the condition that caused it, which has the same."""
    found = _KINDS[kind]
    bad = {"Ready", condition}
    conditions = [
        condition_of(type_, "False", reason=reason, message=message) if type_ in bad else condition_of(type_, "True")
        for type_ in found.conditions
    ]
    extra = {"latestCreatedRevisionName": f"{name}-00001"} if kind == "Service" else {}
    return _set(rest, found, namespace=namespace, name=name, generation=generation, conditions=conditions, extra=extra)


def mark_all_ready(rest: Rest, *, namespace: str) -> int:
    """Reports every Service, Broker and Trigger of the namespace as ready, and returns their number."""
    done = 0
    for kind, found in _KINDS.items():
        for item in rest.get(found.path.format(namespace=namespace, name="").rstrip("/"))["items"]:
            mark_ready(rest, kind, namespace=namespace, name=item["metadata"]["name"])
            done += 1
    return done


def condition_of(type_: str, status: str, *, reason: str = "", message: str = "") -> dict[str, str]:
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {"type": type_, "status": status, "lastTransitionTime": since}
    return found | ({"reason": reason, "message": message} if reason else {})


def _set(
    rest: Rest,
    kind: Kind,
    *,
    namespace: str,
    name: str,
    generation: int | None,
    conditions: list[dict[str, str]],
    extra: Mapping[str, Any],
) -> Any:
    path = kind.path.format(namespace=namespace, name=name)
    if generation is None:
        generation = rest.get(path)["metadata"]["generation"]
    status = {"observedGeneration": generation, "conditions": conditions, **extra}
    return rest.merge(f"{path}/status", {"status": status})
