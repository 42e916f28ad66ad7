"""A cache of the children in the cluster: one watch per kind (and per namespace, if limited), indexed by owner.

Lookups never wait. A child that is not in the cache may still exist, because the cache is behind or a label is missing.
Before creating a child, the caller therefore reads it from the API server, or, for a kind in `WHOLE`, applies it
without force. If a kind could not be listed in a namespace, `require` holds back that namespace and no other.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.children.base import AgentKey, Object
from lambdaagent.controller import ownership, stray_fields
from lambdaagent.controller.own_writes import OwnWrites
from lambdaagent.errors import TemporaryError
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.resources import (
    AUTOSCALER,
    BROKER,
    BROKER_CONFIG,
    DEPLOYMENT,
    KNATIVE_SERVICE,
    NETWORK_POLICY,
    SERVICE,
    SERVICE_MONITOR,
    TRIGGER,
    Resource,
    of,
)
from lambdaagent.kube.watch import Watcher, followed, most_silent

# Core kinds are watched by label, because a cluster holds thousands of objects that belong to others.
_MANAGED = "app.kubernetes.io/managed-by in (lambdaagent,knative-lambda-operator)"
KINDS: tuple[tuple[Resource, str], ...] = (
    (TRIGGER, ""),
    (BROKER, ""),
    (BROKER_CONFIG, ""),
    (KNATIVE_SERVICE, ""),
    (SERVICE_MONITOR, _MANAGED),
    (AUTOSCALER, _MANAGED),
    (DEPLOYMENT, _MANAGED),
    (SERVICE, _MANAGED),
    (NETWORK_POLICY, _MANAGED),
)
# Kinds of which the cache holds every object.
WHOLE = frozenset((TRIGGER, BROKER, BROKER_CONFIG, KNATIVE_SERVICE))
ChildId = tuple[Resource, str, str]  # kind, namespace, name


class UnlistedError(TemporaryError):
    """A kind could not be listed in this namespace, so a child that the cache lacks may exist."""


@dataclass
class ChildCaches:
    client: KubeClient
    served: frozenset[str]
    # Called with each agent that has a changed child.
    changed: Callable[[AgentKey], None]
    # The namespaces to watch; empty means all.
    namespaces: tuple[str, ...] = ()
    _objects: dict[ChildId, Object] = field(default_factory=dict, init=False)
    _by_owner: dict[str, set[ChildId]] = field(default_factory=dict, init=False)
    _own_writes: OwnWrites = field(default_factory=OwnWrites, init=False)
    _watchers: list[Watcher] = field(default_factory=list, init=False)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects.get((resource, namespace, name))

    def of_owner(self, uid: str) -> list[Object]:
        """Return the objects that refer to this agent as owner, by reference or label, in the order of `KINDS`."""
        return [self._objects[child] for child in sorted(self._by_owner.get(uid, ()), key=_order)]

    def owners(self, resource: Resource, namespace: str, name: str) -> list[AgentKey]:
        """Return the agents that own an object."""
        obj = self.get(resource, namespace, name)
        return [key for key, _ in ownership.owners(obj)] if obj else []

    async def write(self, obj: Object, key: AgentKey, writing: Awaitable[Object]) -> Object:
        """Await a write on behalf of an agent and store its result; the write does not wake the agent."""
        answer, overtaken = await self._own_writes.write((_id(obj), key), writing, news=lambda: self.changed(key))
        if not overtaken:
            self.put(answer)
        return answer

    def put(self, obj: Object) -> None:
        """Store the result of a write, unless the watch has already delivered that version or a newer one."""
        child = _id(obj)
        known = self._objects.get(child)
        if known is None or ownership.newer(obj, known):
            self._store(child, _slim(obj))

    def drop(self, obj: Object) -> None:
        child = _id(obj)
        if (known := self._objects.pop(child, None)) is not None:
            self._unlink(child, known)

    def followed(self, obj: Object) -> bool:
        """Whether a watch holds this object and will report its deletion. A watch selects by label, so it never holds
        an object whose label an admission policy has changed."""
        namespace, name, uid = (obj["metadata"][key] for key in ("namespace", "name", "uid"))
        known = (each.objects.get((namespace, name)) for each in self._watchers if each.resource == of(obj))
        return any(found is not None and found["metadata"]["uid"] == uid for found in known)

    def kinds(self) -> Iterator[str]:
        """Yield the kind of each object that belongs to an agent."""
        return (child[0].label for child in {child for children in self._by_owner.values() for child in children})

    def require(self, namespace: str) -> None:
        """Raises UnlistedError until every kind has been listed in this namespace."""
        for watcher in self._watchers:
            if watcher.namespace in (None, namespace) and not watcher.synced.is_set():
                raise UnlistedError(str(watcher.error))

    @property
    def age(self) -> float:
        """Seconds since the server's last sign of life on the watch that has been silent longest."""
        return most_silent(self._watchers)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the watches. On entry each has listed once or was refused; `require` reports where."""
        self._watchers = [
            Watcher(self.client, resource, namespace=namespace, labels=labels, keep=_slim)
            for resource, labels in KINDS
            if not resource.group or resource.api_version in self.served
            for namespace in self.namespaces or (None,)
        ]
        async with followed({each: self._follow(each) for each in self._watchers}):
            yield

    async def _follow(self, watcher: Watcher) -> None:
        async for change in watcher.changes():
            gone = change.type == "DELETED"
            concerned = ownership.concerned(None if gone else change.old, change.object)
            known = self._objects.get(_id(change.object))
            if gone:
                self.drop(change.object)
            elif known and not ownership.newer(change.object, known):
                continue  # the result of our own write, which its writer has already seen
            else:
                self._store(_id(change.object), change.object)
            for key in concerned:
                if not self._own_writes.holds((_id(change.object), key), change.object):
                    self.changed(key)

    def _store(self, child: ChildId, obj: Object) -> None:
        if (known := self._objects.get(child)) is not None:
            self._unlink(child, known)
        self._objects[child] = obj
        for uid in ownership.claims(obj):
            self._by_owner.setdefault(uid, set()).add(child)

    def _unlink(self, child: ChildId, obj: Object) -> None:
        for uid in ownership.claims(obj):
            children = self._by_owner.get(uid, set())
            children.discard(child)
            if not children:
                self._by_owner.pop(uid, None)


def _slim(obj: Object) -> Object:
    """Return the object without its managed fields, unless others wrote into its spec."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    others = stray_fields.entries(obj)
    return obj | {"metadata": metadata | ({"managedFields": others} if others else {})}


def _id(obj: Object) -> ChildId:
    return of(obj), obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _order(child: ChildId) -> int:
    """Return the order of deletion: Triggers come before their targets, so that a deleted target receives nothing, and
    the NetworkPolicy comes after the pods that it closes.
    """
    return next(index for index, (resource, _) in enumerate(KINDS) if resource == child[0])
