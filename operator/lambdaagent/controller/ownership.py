"""Decides who owns an object and whether it already has the desired state. Pure.

An object is ours if its controller owner reference has this agent's UID, or if it has no controller and carries our
label and the owner's UID. A shared object is ours if it carries our labels. Others copy labels (a Knative Route copies
those of the Knative Service to its Service), so an object with another controller is never ours. Any other object that
has the name of a child is foreign and stays untouched.
"""

import hashlib
from dataclasses import replace
from typing import Any

import orjson

from lambdaagent.api import naming
from lambdaagent.api.base import GROUP, KIND
from lambdaagent.children.base import AgentKey, Object
from lambdaagent.children.plan import Child

ANNOTATION_HASH = f"{GROUP}/applied"
_KEYS = ("name", "uid", "type")


def controller(live: Object) -> Object | None:
    """Return the owner reference of the object's controller."""
    references = live["metadata"].get("ownerReferences", [])
    return next((reference for reference in references if reference.get("controller")), None)


def controlled(live: Object, uid: str) -> bool:
    """Whether the controller owner reference has this UID. Garbage collection reads it; labels may remain after it."""
    found = controller(live)
    return found is not None and found["uid"] == uid


def owned(live: Object, uid: str) -> bool:
    labels = live["metadata"].get("labels", {})
    return controlled(live, uid) or (_marked_ours(live) and labels.get(naming.LABEL_OWNER) == uid)


def left_behind(live: Object, agent: str) -> bool:
    """Whether the object is a child of an earlier agent of this name that was deleted with `--cascade=orphan`."""
    labels = live["metadata"].get("labels", {})
    return _marked_ours(live) and labels.get(naming.LABEL_AGENT) == agent and naming.LABEL_OWNER in labels


def shared(live: Object) -> bool:
    return _marked_ours(live) and live["metadata"]["labels"].get(naming.LABEL_SHARED) == "true"


def _marked_ours(live: Object) -> bool:
    """Whether the object carries our label and has no controller."""
    labels = live["metadata"].get("labels", {})
    return controller(live) is None and bool(labels.get("app.kubernetes.io/managed-by") == naming.MANAGER)


def claims(live: Object) -> set[str]:
    """Return the UIDs of the agents that may own an object, for the index; `owned` and `shared` decide."""
    if (found := controller(live)) is not None:
        return {found["uid"]} if found["kind"] == KIND else set()
    label = live["metadata"].get("labels", {}).get(naming.LABEL_OWNER)
    return {uid for _, uid in owners(live)} | ({label} if label else set())


def made_by_route(live: Object, agent: str) -> bool:
    """Whether this is the Service that Knative's Route creates under the name of the Knative Service."""
    found = controller(live)
    return found is not None and found["kind"] == "Route" and found["name"] == agent


def owners(live: Object) -> list[tuple[AgentKey, str]]:
    """Return the agents, with their UIDs, that the object's owner references name."""
    namespace = live["metadata"].get("namespace", "")
    references = live["metadata"].get("ownerReferences", [])
    return [((namespace, ref["name"]), ref["uid"]) for ref in references if ref["kind"] == KIND]


def version(obj: Object) -> int:
    """Return the resourceVersion. Versions of one kind are comparable as numbers (Kubernetes 1.35, KEP-5504); those of
    etcd always were."""
    return int(obj["metadata"]["resourceVersion"])


def newer(obj: Object, known: Object) -> bool:
    return version(obj) > version(known)


def differs_in_status_only(old: Object, new: Object) -> bool:
    ignored = ("resourceVersion", "managedFields")
    one, other = (
        obj | {"status": None, "metadata": {key: value for key, value in obj["metadata"].items() if key not in ignored}}
        for obj in (old, new)
    )
    return one == other


def of_others(obj: Object, status: Object) -> list[Object]:
    """Return the conditions in an agent's status that the writer of `status` does not write: the dispatcher's."""
    ours = {entry["type"] for entry in status["conditions"]}
    found = (obj.get("status") or {}).get("conditions") or []
    return [entry for entry in found if entry["type"] not in ours]


def concerned(old: Object | None, new: Object) -> set[AgentKey]:
    """Return the agents that a change of an object concerns. If a shared object only gained or lost owners, these are
    the only ones: otherwise a thousand agents that join a Broker would wake each other a million times."""
    after = set(owners(new))
    if old is None:
        return {key for key, _ in after}
    before = set(owners(old))
    changed = before ^ after if _without_owners(old) == _without_owners(new) else before | after
    return {key for key, _ in changed}


def _without_owners(obj: Object) -> Object:
    ignored = ("ownerReferences", "resourceVersion", "managedFields", "generation")
    return obj | {"metadata": {key: value for key, value in obj["metadata"].items() if key not in ignored}}


def marked(child: Child) -> Object:
    """Return the object with a hash of itself as annotation. Only the hash shows that a field is no longer desired."""
    if child.fixed:
        return child.obj
    text = orjson.dumps(child.obj, option=orjson.OPT_SORT_KEYS)
    metadata = child.obj["metadata"]
    annotations = metadata.get("annotations", {}) | {ANNOTATION_HASH: hashlib.sha256(text).hexdigest()[:16]}
    return child.obj | {"metadata": metadata | {"annotations": annotations}}


def bound(child: Child, broker: Object) -> Child:
    """Return the Trigger with an annotation that names its Broker object."""
    metadata = child.obj["metadata"]
    annotations = metadata.get("annotations", {}) | {naming.ANNOTATION_BROKER_UID: broker["metadata"]["uid"]}
    return replace(child, obj=child.obj | {"metadata": metadata | {"annotations": annotations}})


def bound_to_another(trigger: Object, broker: Object) -> bool:
    """Whether the Trigger belongs to a Broker object that was replaced. The name of its queue in RabbitMQ contains that
    Broker's UID and can never be changed upstream."""
    said = trigger["metadata"].get("annotations", {}).get(naming.ANNOTATION_BROKER_UID)
    return bool(said and said != broker["metadata"]["uid"])


def without_owners(desired: Object) -> Object:
    """Return the part that is the same for all agents that share the object."""
    metadata = {key: value for key, value in desired["metadata"].items() if key != "ownerReferences"}
    return desired | {"metadata": metadata}


def with_spec_of(desired: Object, live: Object) -> Object:
    """Return the desired object with the live spec, for objects whose spec cannot be changed."""
    return desired | {"spec": live.get("spec", {})}


def holds(desired: Any, live: Any) -> bool:
    """Whether the live object contains all that is desired; additions of others do not matter.

    The API server returns typed objects without their empty values, so those count as equal to absent ones.
    """
    if isinstance(desired, dict):
        if not isinstance(live, dict):
            return not desired and live is None
        return all(holds(value, live.get(key)) for key, value in desired.items())
    if isinstance(desired, list):
        if not isinstance(live, list):
            return not desired and live is None
        key = next((key for key in _KEYS if desired and all(isinstance(i, dict) and key in i for i in desired)), None)
        if key is None:
            return len(desired) == len(live) and all(map(holds, desired, live))
        by_key = {item.get(key): item for item in live if isinstance(item, dict)}
        return all(item[key] in by_key and holds(item, by_key[item[key]]) for item in desired)
    return bool(desired == live or (not desired and live is None))
