"""Follows objects of others that explain a child's state: pods, ReplicaSets, Revisions, RabbitMQ's Exchanges.

They are watched and never written. Only the fields that show a cause are kept, and an agent is woken only if the cause
has changed: a pod changes many times while it starts, and a thousand agents have thousands of pods. Pods, ReplicaSets
and Revisions are selected by the labels of our pod templates, so those of others are not requested.

Pods of an older version run beside the new one until that is ready, have the same labels, and may go on failing. A
cause therefore counts only for its own version: a Revision, or the ReplicaSet with the highest number.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.api import naming
from lambdaagent.children.base import AgentKey, Object
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import EXCHANGE, POD, REPLICA_SET, REVISION, Resource
from lambdaagent.kube.watch import Watcher, WatchEvent, followed, most_silent
from lambdaagent.status.causes import Cause, of_exchange, of_pod, of_replica_set, of_revision

_OURS = f"app.kubernetes.io/managed-by={naming.MANAGER},{naming.LABEL_COMPONENT}=agent,{naming.LABEL_AGENT}"
_KINDS: tuple[tuple[Resource, str, Callable[[Object], Cause | None]], ...] = (
    (POD, _OURS, of_pod),
    (REPLICA_SET, _OURS, of_replica_set),
    (REVISION, _OURS, of_revision),
    (EXCHANGE, "", of_exchange),
)
_REVISION, _HASH, _NUMBER = "serving.knative.dev/revision", "pod-template-hash", "deployment.kubernetes.io/revision"
# A pod's status is more precise than what Knative derives from it.
_PRECISION = {POD: 2, REPLICA_SET: 1}
_METADATA = ("name", "namespace", "uid", "resourceVersion", "labels", "creationTimestamp", "deletionTimestamp")
_STATUS = ("phase", "reason", "message", "conditions", "initContainerStatuses", "containerStatuses")


@dataclass(frozen=True, slots=True)
class _Found:
    cause: Cause
    since: str
    precision: int
    # The name of the Revision, or else the hash of the pod template.
    version: str


@dataclass
class Diagnostics:
    client: KubeClient
    served: frozenset[str]
    # Called with an agent when the cause of its state may have changed.
    changed: Callable[[AgentKey], None]
    # Called with namespace and name of a Broker when the cause of its state may have changed.
    broker_changed: Callable[[AgentKey], None]
    # The namespaces to watch; empty means all.
    namespaces: tuple[str, ...] = ()
    _of_agents: dict[AgentKey, dict[str, _Found]] = field(default_factory=dict, init=False)
    # For each agent on plain Kubernetes: number and hash of each of its ReplicaSets, by name.
    _replica_sets: dict[AgentKey, dict[str, tuple[int, str]]] = field(default_factory=dict, init=False)
    _of_brokers: dict[AgentKey, dict[str, _Found]] = field(default_factory=dict, init=False)
    _watchers: list[Watcher] = field(default_factory=list, init=False)

    def of_workload(self, agent: AgentKey, revision: str | None) -> Cause | None:
        """Return the cause of this Revision (None: newest ReplicaSet) from the most precise, then newest source."""
        found, version = self._of_agents.get(agent), revision
        if version is None:
            # If no ReplicaSet is known, causes of all versions count.
            version = max(self._replica_sets.get(agent, {}).values(), default=(0, None))[1]
        if found and version is not None:
            found = {source: each for source, each in found.items() if each.version == version}
        return _newest(found)

    def of_broker(self, broker: AgentKey) -> Cause | None:
        return _newest(self._of_brokers.get(broker))

    @property
    def age(self) -> float:
        """Seconds since the server's last sign of life on the watch that has been silent longest."""
        return most_silent(self._watchers)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the watches. On entry each has listed once or was refused; a refusal only makes causes unknown."""
        served = [kind for kind in _KINDS if not kind[0].group or kind[0].api_version in self.served]
        found = [
            (Watcher(self.client, kind, namespace=namespace, labels=labels, keep=_slim), read)
            for kind, labels, read in served
            for namespace in self.namespaces or (None,)
        ]
        self._watchers = [watcher for watcher, _ in found]
        async with followed({watcher: self._follow(watcher, read) for watcher, read in found}):
            yield

    async def _follow(self, watcher: Watcher, read: Callable[[Object], Cause | None]) -> None:
        exchange = watcher.resource == EXCHANGE
        index, tell = (self._of_brokers, self.broker_changed) if exchange else (self._of_agents, self.changed)
        async for change in watcher.changes():
            about = _broker(change) if exchange else _agent(change)
            if about is None:
                continue
            cause = None if change.type == "DELETED" else read(change.object)
            since = change.object["metadata"].get("creationTimestamp", "")
            precision = _PRECISION.get(watcher.resource, 0)
            found = _Found(cause, since, precision, _version(change.object)) if cause else None
            numbered = watcher.resource == REPLICA_SET and self._number(about, change)
            if _changed(index, about, f"{watcher.resource.kind}/{change.key[1]}", found) or numbered:
                tell(about)

    def _number(self, agent: AgentKey, change: WatchEvent) -> bool:
        """Record or remove a ReplicaSet; return whether the newest ReplicaSet is now another one."""
        metadata, known = change.object["metadata"], self._replica_sets.setdefault(agent, {})
        before = max(known.values(), default=None)
        number = metadata.get("annotations", {}).get(_NUMBER, "")
        if change.type == "DELETED" or not number.isdecimal() or _REVISION in metadata.get("labels", {}):
            known.pop(metadata["name"], None)
        else:
            known[metadata["name"]] = int(number), _version(change.object)
        after = max(known.values(), default=None)
        if not known:
            del self._replica_sets[agent]
        return before != after


def _changed(index: dict[AgentKey, dict[str, _Found]], about: AgentKey, source: str, found: _Found | None) -> bool:
    known = index.get(about, {})
    if known.get(source) == found:
        return False
    if found:
        index.setdefault(about, {})[source] = found
    else:
        del known[source]
        if not known:
            del index[about]
    return True


def _newest(found: dict[str, _Found] | None) -> Cause | None:
    if not found:
        return None
    return max(found.items(), key=lambda item: (item[1].precision, item[1].since, item[0]))[1].cause


def _agent(change: WatchEvent) -> AgentKey | None:
    name = change.object["metadata"].get("labels", {}).get(naming.LABEL_AGENT)
    return (change.key[0], name) if name else None


def _version(obj: Object) -> str:
    if obj["kind"] == REVISION.kind:
        return str(obj["metadata"]["name"])
    labels = obj["metadata"].get("labels", {})
    return str(labels.get(_REVISION) or labels.get(_HASH, ""))


def _broker(change: WatchEvent) -> AgentKey | None:
    references = change.object["metadata"].get("ownerReferences", [])
    return next(((change.key[0], ref["name"]) for ref in references if ref["kind"] == "Broker"), None)


def _slim(obj: Object) -> Object:
    metadata, status = obj["metadata"], obj.get("status") or {}
    kept = {key: metadata[key] for key in (*_METADATA, "ownerReferences") if key in metadata}
    if number := metadata.get("annotations", {}).get(_NUMBER):
        kept["annotations"] = {_NUMBER: number}
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "metadata": kept,
        "status": {key: status[key] for key in _STATUS if key in status},
    }
