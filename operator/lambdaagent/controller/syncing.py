"""Makes the cluster match a plan: applies children that differ and deletes those that are no longer planned.

A failing child does not keep the others from being applied: failures of children are returned and not raised. Raised
are TerminatingError (the namespace is being deleted) and errors from the deletion of the Service of an agent's former
backend. Nothing is written where nothing differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from lambdaagent.api import naming
from lambdaagent.api.agent import FieldWarning, LambdaAgent
from lambdaagent.children.base import Object
from lambdaagent.children.plan import Child, Plan
from lambdaagent.children.warning_reasons import WarningReason
from lambdaagent.controller import ownership, stray_fields
from lambdaagent.controller.child_cache import WHOLE, ChildCaches
from lambdaagent.controller.repeated_repairs import Repairs, Settled
from lambdaagent.errors import TemporaryError
from lambdaagent.kube import objects
from lambdaagent.kube.apply import apply
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import ApiError, ConflictError, PermanentApiError, TerminatingError
from lambdaagent.kube.resources import BROKER, DEPLOYMENT, KNATIVE_SERVICE, SERVICE, TRIGGER, of
from lambdaagent.status.conditions import ApplyFailure, ChildKey, World

log = structlog.get_logger(__name__)


class WaitingError(TemporaryError):
    """Something else has to be deleted first; the watches may not report its deletion."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    world: World
    # A failure that may pass: the caller reconciles again, with back-off.
    temporary: TemporaryError | None
    # Fields that another writer sets again after each removal.
    contested: tuple[FieldWarning, ...] = ()


@dataclass
class Syncer:
    """One instance serves all agents; the memory that it needs is bounded by the number of children."""

    client: KubeClient
    child_caches: ChildCaches
    settled: Settled = field(default_factory=Settled)
    repairs: Repairs = field(default_factory=Repairs)

    async def sync(self, agent: LambdaAgent, plan: Plan) -> SyncResult:
        contested: list[FieldWarning] = []
        await self._make_way(agent, plan)
        live: dict[ChildKey, Object] = {}
        failures: dict[ChildKey, ApplyFailure] = {}
        temporary: TemporaryError | None = None
        for child in plan.children:
            key = (*child.kind, child.name)
            if of(child.obj) == TRIGGER and _broker_failed(plan, failures):
                continue  # its annotation names the Broker object, which is not known yet
            try:
                found = await self._one(agent, child, contested, broker=_broker(plan, live))
            except TerminatingError:
                raise  # the child is not at fault, and status cannot be kept either
            except ApiError as problem:
                failures[key] = ApplyFailure(problem.reason, str(problem), not isinstance(problem, TemporaryError))
                temporary = problem if isinstance(problem, TemporaryError) else temporary
                continue
            if isinstance(found, ApplyFailure):
                failures[key] = found
                temporary = temporary or (
                    None if found.permanent else WaitingError(f"{key[1]} {key[2]} {found.message}")
                )
            else:
                live[key] = found
        try:
            await self._prune(agent, plan)
        except ApiError as problem:
            log.warning("children.prune_failed", agent=agent.key, error=str(problem))
            temporary = problem if isinstance(problem, TemporaryError) else temporary
        return SyncResult(World(live, failures), temporary, tuple(contested))

    async def _one(
        self, agent: LambdaAgent, child: Child, contested: list[FieldWarning], *, broker: Object | None
    ) -> Object | ApplyFailure:
        """Apply one child. `broker` is the live Broker that Triggers belong to, if there is one."""
        resource, owner = of(child.obj), (agent.namespace, agent.name)
        live = self.child_caches.get(resource, agent.namespace, child.name)
        # Where the watch sees every object of a kind, absence need not be checked first: an apply without force fails
        # with a conflict if the cache was behind.
        asked = resource not in WHOLE
        if live is None and asked:
            live = await objects.find(self.client, resource, name=child.name, namespace=agent.namespace)
        if broker and resource == TRIGGER:
            child = ownership.bound(child, broker)
        desired = ownership.marked(child)
        if live is not None:
            if refused := _not_ours(agent, child, live):
                return refused
            if broker and resource == TRIGGER and ownership.bound_to_another(live, broker):
                await self.release(agent.uid, live)
                return ApplyFailure("BrokerReplaced", "is created again, because its Broker was", permanent=False)
            if child.fixed and not ownership.holds(desired["spec"], live.get("spec")):
                log.info("child.update_skipped", agent=agent.key, child=child.name, reason="spec-immutable")
                desired = ownership.with_spec_of(desired, live)
        wanted = ownership.without_owners(desired) if child.shared else desired
        found = await self._write(agent, child, wanted, live, asked=asked)
        if isinstance(found, ApplyFailure):
            return found
        if pointers := _strays(child, wanted, found):
            contested.append(_contested(child, found, pointers))
        live = found
        if child.shared and not ownership.holds(desired, live):
            (reference,) = desired["metadata"]["ownerReferences"]
            joining = objects.add_owner(self.client, live, reference, manager=naming.MANAGER)
            live = await self.child_caches.write(live, owner, joining)
            log.info("child.owner_added", agent=agent.key, kind=child.kind[1], child=child.name)
        return live

    async def _write(
        self, agent: LambdaAgent, child: Child, wanted: Object, live: Object | None, *, asked: bool
    ) -> Object | ApplyFailure:
        """Return the object once it has all that is wanted and nothing that others added to its spec."""
        if live is None or not self._stands(wanted, live):
            try:
                live = await self._apply(agent, child, wanted, created=live is None, asked=asked)
            except PermanentApiError as problem:
                if live is None or not _refuses(problem) or not _strays(child, wanted, live):
                    raise
                # The server may have refused the fields that others added.
                cleared = await self._clear(agent, child, wanted, live)
                if isinstance(cleared, ApplyFailure):
                    return cleared
                live = await self._apply(agent, child, wanted, created=False, asked=asked)
        if _strays(child, wanted, live):
            return await self._clear(agent, child, wanted, live)
        return live

    def _stands(self, wanted: Object, live: Object) -> bool:
        if stray_fields.overwritten(wanted, live):
            return False
        return ownership.holds(wanted, live) or self.settled.holds(wanted, live)

    async def _apply(self, agent: LambdaAgent, child: Child, wanted: Object, *, created: bool, asked: bool) -> Object:
        writing = apply(self.client, wanted, manager=naming.MANAGER, force=not created or asked)
        live = await self.child_caches.write(wanted, (agent.namespace, agent.name), writing)
        log.info("child.applied", agent=agent.key, kind=child.kind[1], child=child.name, created=created)
        if not ownership.holds(wanted, live):
            self.settled.keep(wanted, live)
        return live

    async def _clear(self, agent: LambdaAgent, child: Child, wanted: Object, live: Object) -> Object | ApplyFailure:
        """Remove fields that others added. If the server refuses the removal, the object is deleted to be made again,
        unless it is a workload, which is serving requests."""
        pointers = stray_fields.added(wanted, live)
        fields, managers = _named(live, pointers)
        title = f"{child.kind[1]} {child.name}"
        if not self.repairs.allowed(live["metadata"]["uid"]):
            return live
        patching = objects.json_patch(
            self.client,
            of(live),
            name=child.name,
            namespace=agent.namespace,
            patch=stray_fields.removal(live, pointers),
            manager=naming.MANAGER,
        )
        try:
            live = await self.child_caches.write(live, (agent.namespace, agent.name), patching)
        except PermanentApiError as problem:
            if not _refuses(problem):
                raise
            if of(live) in (KNATIVE_SERVICE, DEPLOYMENT):
                return ApplyFailure(problem.reason, f"{managers} added {fields}, which cannot be removed: {problem}")
            await self.release(agent.uid, live)
            return ApplyFailure("Replaced", f"is created again, because {managers} added {fields}", permanent=False)
        log.info("child.cleared", agent=agent.key, child=title, fields=fields, managers=managers)
        return live

    async def _make_way(self, agent: LambdaAgent, plan: Plan) -> None:
        """Delete the Service of the backend that the agent leaves: both backends need a Service of the agent's name."""
        leaving = SERVICE if plan.backends.serving == "knative" else KNATIVE_SERVICE
        wanted = {(*child.kind, child.name) for child in plan.children}
        live = self.child_caches.get(leaving, agent.namespace, agent.name)
        key = (leaving.api_version, leaving.kind, agent.name)
        if live and key not in wanted and not plan.awaited and ownership.owned(live, agent.uid):
            await self.release(agent.uid, live)

    async def _prune(self, agent: LambdaAgent, plan: Plan) -> None:
        wanted = {(*child.kind, child.name) for child in plan.children}
        for live in self.child_caches.of_owner(agent.uid):
            key = (live["apiVersion"], live["kind"], live["metadata"]["name"])
            waits = plan.awaited and of(live) in (KNATIVE_SERVICE, DEPLOYMENT)
            if key not in wanted and not waits:
                await self.release(agent.uid, live)

    async def release(self, uid: str, live: Object, *, unchanged: bool = False) -> None:
        """Delete an object that this agent owns alone; remove the agent's reference from a shared object.

        With `unchanged`, only the known version is deleted. Raises ConflictError if the object has changed.
        """
        metadata = live["metadata"]
        if metadata.get("deletionTimestamp"):
            return
        resource, name, namespace = of(live), metadata["name"], metadata["namespace"]
        others = [ref for ref in metadata.get("ownerReferences", []) if ref["uid"] != uid]
        there = True
        if ownership.owned(live, uid):
            version = metadata["resourceVersion"] if unchanged else None
            there = await objects.delete(
                self.client, resource, name=name, namespace=namespace, uid=metadata["uid"], resource_version=version
            )
        elif ownership.shared(live) and not others:
            # The version guards against an agent that joins at this moment.
            version = metadata["resourceVersion"]
            there = await objects.delete(
                self.client, resource, name=name, namespace=namespace, resource_version=version
            )
        elif ownership.shared(live):
            patch = {"metadata": {"ownerReferences": others, "resourceVersion": metadata["resourceVersion"]}}
            patched = await objects.merge_patch(
                self.client, resource, name=name, namespace=namespace, patch=patch, manager=naming.MANAGER
            )
            self.child_caches.put(patched)
        else:
            return
        self.settled.forget(live)
        if not there:
            self.child_caches.drop(live)  # no watch has reported the deletion
        log.info("child.released", kind=resource.label, namespace=namespace, name=name)

    async def remove(self, uid: str, *, ask: bool) -> list[Object]:
        """Release all children of an agent that is being deleted; return those that still exist.

        With `--cascade=orphan` garbage collection removes the owner references of children that are to stay, so a child
        without one stays. Raises ConflictError if a child has changed meanwhile. The API server is asked for each child
        that no watch follows; with `ask`, for every child.
        """
        conflict: ConflictError | None = None
        for live in self.child_caches.of_owner(uid):
            if ownership.controlled(live, uid) or ownership.shared(live):
                try:
                    await self.release(uid, live, unchanged=True)
                except ConflictError as problem:
                    conflict = problem
        if conflict:
            raise conflict
        left = [live for live in self.child_caches.of_owner(uid) if ownership.controlled(live, uid)]
        found = []
        for live in left:
            metadata = live["metadata"]
            if ask or not self.child_caches.followed(live):
                now = await objects.find(self.client, of(live), name=metadata["name"], namespace=metadata["namespace"])
                if now is None or now["metadata"]["uid"] != metadata["uid"]:
                    self.child_caches.drop(live)
                    continue
            found.append(live)
        return found


def _broker(plan: Plan, live: dict[ChildKey, Object]) -> Object | None:
    return live.get((BROKER.api_version, BROKER.kind, plan.broker.name)) if plan.broker else None


def _broker_failed(plan: Plan, failures: Mapping[ChildKey, ApplyFailure]) -> bool:
    """Whether the Broker has failed temporarily: it is applied again, and the Triggers after it."""
    failure = failures.get((BROKER.api_version, BROKER.kind, plan.broker.name)) if plan.broker else None
    return failure is not None and not failure.permanent


def _strays(child: Child, wanted: Object, live: Object) -> list[stray_fields.Pointer]:
    """Return the fields that others added to a child's spec; none for a shared or fixed child, which stays as it is."""
    return [] if child.shared or child.fixed else stray_fields.added(wanted, live)


def _named(live: Object, pointers: list[stray_fields.Pointer]) -> tuple[str, str]:
    """Return the fields and the managers that wrote them, as text."""
    return ", ".join(map(stray_fields.path, sorted(pointers))), ", ".join(stray_fields.managers(live))


def _contested(child: Child, live: Object, pointers: list[stray_fields.Pointer]) -> FieldWarning:
    fields, managers = _named(live, pointers)
    message = f"{child.kind[1]} {child.name}: {managers} sets {fields} repeatedly, so the operator no longer does"
    return FieldWarning(field="spec", reason=WarningReason.CONTESTED, message=message[:4096])


def _refuses(problem: PermanentApiError) -> bool:
    """Whether the server refuses the object (by its schema or a webhook) and not the writer."""
    return problem.status in (400, 422)


def _not_ours(agent: LambdaAgent, child: Child, live: Object) -> ApplyFailure | None:
    if live["metadata"].get("deletionTimestamp"):
        return ApplyFailure("BeingDeleted", "is being deleted; it is created again afterwards", permanent=False)
    if ownership.made_by_route(live, agent.name):
        return ApplyFailure(
            "AwaitingKnative", "still belongs to Knative, which deletes it with its Service", permanent=False
        )
    mine = ownership.owned(live, agent.uid) or ownership.left_behind(live, agent.name)
    if ownership.shared(live) if child.shared else mine:
        return None
    return ApplyFailure(
        "NameTaken",
        "exists and does not belong to the agent, so it is not changed; rename the agent or delete the object",
    )
