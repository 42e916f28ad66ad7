"""Objects of Knative's controllers, and their status as the real ones report it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.parts.knative import condition_of
from tests.parts.rest import Rest

Object = dict[str, Any]
SERVING, EVENTING, RABBITMQ = "serving.knative.dev/v1", "eventing.knative.dev/v1", "rabbitmq.com/v1beta1"
_KINDS = {
    "brokers": "Broker",
    "configurations": "Configuration",
    "deployments": "Deployment",
    "exchanges": "Exchange",
    "queues": "Queue",
    "revisions": "Revision",
    "routes": "Route",
    "services": "Service",
}


@dataclass
class Objects:
    """Finds and writes objects; `made` counts how often each was created, by namespace and "plural/name"."""

    rest: Rest
    made: Counter[tuple[str, str]] = field(default_factory=Counter)

    def find(self, group: str, namespace: str, plural: str, name: str) -> Object | None:
        """Returns the object, or None where there is none or it is being deleted."""
        found = self.rest.find(path(group, namespace, plural, name))
        return None if found is None or found["metadata"].get("deletionTimestamp") else found

    def keep(self, group: str, namespace: str, plural: str, name: str, marks: Object, spec: Object) -> Object:
        """Creates the object if there is none; updates labels and spec of a Configuration or Route. Returns it."""
        found = self.find(group, namespace, plural, name)
        if found is None:
            body = {"apiVersion": group, "kind": _KINDS[plural], "metadata": {"name": name, **marks}, "spec": spec}
            found = self.rest.post(path(group, namespace, plural), body)
            self.made[namespace, f"{plural}/{name}"] += 1
        elif group == SERVING and plural in ("configurations", "routes"):
            labels = marks["labels"]
            if found["spec"] != spec or found["metadata"].get("labels", {}) != labels:
                found["metadata"]["labels"], found["spec"] = labels, spec
                found = self.rest.put(path(group, namespace, plural, name), found)
        return dict(found)

    def deployment(self, namespace: str, name: str, owned_by: Object, labels: dict[str, str]) -> None:
        """Creates the Deployment of a dispatcher or ingress."""
        marks = {"labels": labels, "ownerReferences": [owner(owned_by)]}
        selector = {"app": name[:63]}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": selector},
                "spec": {"containers": [{"name": "dispatcher", "image": "gcr.io/knative-releases/dispatcher"}]},
            },
        }
        self.keep("apps/v1", namespace, "deployments", name, marks, spec)

    def report(self, group: str, plural: str, obj: Object, status: Object) -> None:
        """Writes the status of an object if more than times in it would change."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        status = {"observedGeneration": obj["metadata"]["generation"], **status}
        if _timeless(obj.get("status", {})) == _timeless(status):
            return
        self.rest.merge(f"{path(group, namespace, plural, name)}/status", {"status": status})


def conditions(kinds: tuple[str, ...], failed: Object) -> list[Object]:
    """Returns every condition of the kind; Ready repeats the first failure."""
    first = next(iter(failed.values()), None)
    said = failed | ({"Ready": first} if first else {})
    return [condition_of(kind, "False" if kind in said else "True", **said.get(kind, {})) for kind in kinds]


def is_ready(obj: Object) -> bool:
    entries = obj.get("status", {}).get("conditions") or []
    current = obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"]
    return current and any(entry["type"] == "Ready" and entry["status"] == "True" for entry in entries)


def owner(obj: Object) -> Object:
    """Returns the reference by which this object controls another."""
    found = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "controller": True, "blockOwnerDeletion": True}
    return found | {key: obj["metadata"][key] for key in ("name", "uid")}


def controller(obj: Object) -> str:
    """Returns the UID of the controlling owner, or an empty string."""
    references = obj["metadata"].get("ownerReferences", [])
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def root(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"


def path(group: str, namespace: str, plural: str, name: str = "") -> str:
    return f"{root(group)}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


def _timeless(status: Object) -> Object:
    entries = status.get("conditions") or []
    untimed = [{key: value for key, value in entry.items() if key != "lastTransitionTime"} for entry in entries]
    return status | {"conditions": untimed}
