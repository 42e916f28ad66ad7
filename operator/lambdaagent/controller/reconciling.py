"""Reconciles one agent: reads it from the cache, plans its children, applies them, observes them and writes status.

Each reconcile decides everything again from the present state, whatever caused it. Status is written last, and only if
it differs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.base import FINALIZER, GROUP
from lambdaagent.backoff import spread
from lambdaagent.children.base import AgentKey, Backends, Object, Observed
from lambdaagent.children.brokers import broker_of
from lambdaagent.children.plan import plan as make_plan
from lambdaagent.controller import ownership
from lambdaagent.controller.agent_cache import AgentCache, key_of, slim
from lambdaagent.controller.child_cache import ChildCaches
from lambdaagent.controller.container_cards import ContainerCards, revision_of
from lambdaagent.controller.diagnostics import Diagnostics
from lambdaagent.controller.external_agents import ExternalAgents
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.subscribers import Subscribers
from lambdaagent.controller.syncing import Syncer
from lambdaagent.controller.tool_discovery import ToolDiscovery
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube import objects
from lambdaagent.kube.apply import apply_status
from lambdaagent.kube.client import KubeClient
from lambdaagent.kube.errors import NotFoundError, TerminatingError
from lambdaagent.kube.events import emit, utc_now
from lambdaagent.kube.resources import BROKER, KNATIVE_SERVICE, LAMBDA_AGENT
from lambdaagent.settings import Installation
from lambdaagent.status import decide
from lambdaagent.status.ai import endpoint
from lambdaagent.status.conditions import DEPLOYMENT, ApplyFailure, World
from lambdaagent.status.lifecycle import Happening, happened

log = structlog.get_logger(__name__)

_BLIND_SECONDS = 30.0
# After this time the API server is asked for remaining children, because a watch may have missed a deletion.
_LATE_SECONDS = 10.0
_ORPHAN = "orphan"

# Fields of status that may be absent.
_OPTIONAL = ("warnings", "serviceStatus", "eventingStatus", "a2aStatus", "aiStatus", "permissionStatus", "tools")


@dataclass
class Reconciler:
    client: KubeClient
    child_caches: ChildCaches
    diagnostics: Diagnostics
    prober: Prober
    cards: ContainerCards
    tools: ToolDiscovery
    external: ExternalAgents
    installation: Installation
    backends: Backends
    # Called with an agent that must be reconciled again.
    wake: Callable[[AgentKey], None]
    resync_seconds: float = 600.0
    instance: str = naming.MANAGER
    # Called with an agent, what happened to it, and its status.
    tell: Callable[[Object, Happening, dict[str, Any]], None] = lambda *_: None
    now: Callable[[], datetime] = utc_now
    agent_cache: AgentCache = field(init=False)
    syncer: Syncer = field(init=False)

    def __post_init__(self) -> None:
        self.syncer = Syncer(self.client, self.child_caches)
        self.agent_cache = AgentCache(self.prober, self._put_servers, Subscribers(self.installation), self.wake)

    def _put_servers(self, key: AgentKey, agent: LambdaAgent | None) -> None:
        self.tools.put(key, agent)
        self.external.put(key, agent)

    async def reconcile(self, key: AgentKey) -> float | None:
        """Return the seconds until the next reconcile in any case, or None. Raises TemporaryError if something failed
        that may succeed later."""
        obj = self.agent_cache.raw.get(key)
        if obj is None:
            return None
        try:
            if obj["metadata"].get("deletionTimestamp"):
                return await self._finalize(obj)
            return await self._keep(key, obj)
        except (NotFoundError, TerminatingError) as problem:
            # The agent was deleted in between, or its namespace is being deleted; the watch will report it.
            log.info("reconcile.abandoned", agent="/".join(key), error=str(problem))
            return None

    async def _keep(self, key: AgentKey, obj: Object) -> float | None:
        finalizers = obj["metadata"].get("finalizers", [])
        if FINALIZER not in finalizers:
            adding = objects.set_finalizers(self.client, obj, [*finalizers, FINALIZER], manager=naming.MANAGER)
            self.agent_cache.wrote(await self.agent_cache.write(key, adding))
        agent = self.agent_cache.agents.get(key)
        obj = self.agent_cache.raw.get(key, obj)
        if agent is None:
            if problems := self.agent_cache.problems.get(key):
                await self._report(obj, decide.invalid(obj, problems, now=self.now()))
            return next_look((), resync_seconds=self.resync_seconds)
        plan = make_plan(agent, installation=self.installation, backends=self.backends, observed=self._observed(agent))
        outcome = await self.syncer.sync(agent, plan)
        plan = replace(plan, warnings=(*plan.warnings, *outcome.contested))
        on_knative = self.backends.serving == "knative"
        world = replace(
            outcome.world,
            workload=self.diagnostics.of_workload(key, _created(outcome.world, agent) if on_knative else None),
            ai=self.prober.answer(endpoint(agent.spec.ai)),
            tools=self.tools.answers(agent),
            external=self.external.answer(agent),
            broker=self.diagnostics.of_broker(plan.broker.key) if plan.broker else None,
        )
        status = decide.status(
            agent,
            previous=obj.get("status") or {},
            dispatcher_spoke=_dispatcher_spoke(obj),
            plan=plan,
            world=world,
            installation=self.installation,
            now=self.now(),
        )
        self._add_card(agent, obj, status, outcome.world)
        await self._report(obj, status)
        if outcome.temporary:
            raise outcome.temporary
        return next_look(outcome.world.failures.values(), resync_seconds=self.resync_seconds)

    def _add_card(self, agent: LambdaAgent, obj: Object, status: dict[str, Any], world: World) -> None:
        """Add the container's own card to `a2aStatus`."""
        if "a2aStatus" not in status:
            return
        service = status["serviceStatus"]
        revision = revision_of(world.live.get((*DEPLOYMENT, agent.name)), service)
        before = ((obj.get("status") or {}).get("a2aStatus") or {}).get("containerCard")
        if card := self.cards.card(agent, service=service, revision=revision, before=before):
            status["a2aStatus"]["containerCard"] = card

    def _observed(self, agent: LambdaAgent) -> Observed:
        urls: dict[AgentKey, str] = {}
        for live in self.child_caches.of_owner(agent.uid):
            url = ((live.get("status") or {}).get("address") or {}).get("url")
            if url and live["kind"] == BROKER.kind:
                urls[live["metadata"]["namespace"], live["metadata"]["name"]] = url
        broker = broker_of(agent, self.installation)
        subscribed = self.agent_cache.subscribers.on(broker.key) if broker else None
        there = self.child_caches.get(BROKER, *broker.key) if broker else None
        deliveries = {broker.key: there["spec"].get("delivery") or {}} if broker and there else {}
        return Observed(
            agents=self.agent_cache.agents, broker_urls=urls, subscribed=subscribed, broker_deliveries=deliveries
        )

    async def _finalize(self, obj: Object) -> float | None:
        """Remove all children, then the finalizer; the watches wake the agent as the children disappear."""
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers", [])
        if FINALIZER not in finalizers:
            return None
        # With `--cascade=orphan`, garbage collection removes the owner references, and the children stay.
        if _ORPHAN not in finalizers:
            since = datetime.fromisoformat(metadata["deletionTimestamp"])
            late = (self.now() - since).total_seconds() > _LATE_SECONDS
            if remaining := await self.syncer.remove(metadata["uid"], ask=late):
                names = [f"{live['kind']} {live['metadata']['name']}" for live in remaining]
                await self._report(obj, decide.deleting(obj, remaining=names, now=self.now()))
                return spread(min(_BLIND_SECONDS, self.resync_seconds))
        left = [name for name in metadata["finalizers"] if name != FINALIZER]
        self.agent_cache.wrote(await objects.set_finalizers(self.client, obj, left, manager=naming.MANAGER))
        self.tell(obj, Happening.DELETED, obj.get("status") or {})
        log.info("agent.finalized", agent=f"{metadata['namespace']}/{metadata['name']}")
        return None

    async def _drop_legacy(self, obj: Object) -> None:
        """Remove legacy conditions by a merge patch: server-side apply cannot remove what another manager wrote."""
        metadata, conditions = obj["metadata"], (obj.get("status") or {}).get("conditions") or []
        kept = _without_legacy(conditions)
        if len(kept) == len(conditions):
            return
        patch = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": {"conditions": kept}}
        await objects.merge_patch(
            self.client,
            LAMBDA_AGENT,
            name=metadata["name"],
            namespace=metadata["namespace"],
            patch=patch,
            manager=naming.STATUS_OF_OPERATOR,
            subresource="status",
        )

    async def _report(self, obj: Object, status: dict[str, Any]) -> None:
        metadata, before = obj["metadata"], obj.get("status") or {}
        if not _differs(status, before, dispatcher_spoke=_dispatcher_spoke(obj)):
            return
        await self._drop_legacy(obj)
        applying = apply_status(
            self.client,
            LAMBDA_AGENT,
            name=metadata["name"],
            namespace=metadata["namespace"],
            status=status,
            manager=naming.STATUS_OF_OPERATOR,
        )
        written = await self.agent_cache.write(key_of(obj), applying)
        alone = ownership.of_others(obj, status) == ownership.of_others(written, status)
        if alone and ownership.differs_in_status_only(obj, slim(written)):
            self.agent_cache.wrote(written)
        else:  # another writer changed it meanwhile, and the watch event may have been held back with that of our write
            self.agent_cache.wake(key_of(obj))
        if before.get("phase") != status["phase"]:
            agent = f"{metadata['namespace']}/{metadata['name']}"
            log.info("agent.phase_changed", agent=agent, before=before.get("phase"), now=status["phase"])
        for happening in happened(before, status):
            self.tell(written, happening, status)
        if transition := decide.transition(before, status):
            await self._tell(written, transition)

    async def _tell(self, obj: Object, transition: decide.Transition) -> None:
        """Record an Event for `kubectl describe`. Status has the same content, so a failure is only logged."""
        try:
            await emit(
                self.client,
                obj,
                reason=transition.reason,
                note=transition.message,
                action="Reconcile",
                reporter=f"{GROUP}/operator",
                instance=self.instance,
                kind="Normal" if transition.good else "Warning",
                now=self.now,
            )
        except TerminatingError:
            pass  # the namespace is being deleted, and the Event would be deleted with it
        except LambdaAgentError as problem:
            agent = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
            log.warning("kubernetes_event.record_failed", agent=agent, error=str(problem))


def next_look(failures: Iterable[ApplyFailure], *, resync_seconds: float) -> float:
    """Return the seconds until the next reconcile in any case. It is soon if no watch reports that the cause of a
    failure is gone: objects of others, rights, quotas. Jittered, so that agents are not reconciled at one moment."""
    blind = any(failure.permanent for failure in failures)
    seconds = min(_BLIND_SECONDS, resync_seconds) if blind else resync_seconds
    return spread(seconds)


def _created(world: World, agent: LambdaAgent) -> str:
    """Return the Revision that Knative created last, the only one whose failure is of this version; empty if none."""
    live = world.live.get((KNATIVE_SERVICE.api_version, KNATIVE_SERVICE.kind, agent.name), {})
    return str((live.get("status") or {}).get("latestCreatedRevisionName") or "")


def _without_legacy(conditions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [entry for entry in conditions if entry["type"] not in decide.LEGACY_CONDITIONS]


def _dispatcher_spoke(obj: Object) -> bool:
    """Whether the present EventingReady was written by the dispatcher, and not by the operator for another backend."""
    key = 'k:{"type":"EventingReady"}'
    return any(
        entry["manager"] == naming.STATUS_OF_DISPATCHER
        and key in entry.get("fieldsV1", {}).get("f:status", {}).get("f:conditions", {})
        for entry in obj["metadata"].get("managedFields", [])
    )


def _differs(status: dict[str, Any], before: dict[str, Any], *, dispatcher_spoke: bool) -> bool:
    if any(status[key] != before.get(key) for key in ("phase", "observedGeneration")):
        return True
    if any(status.get(key) != before.get(key) for key in _OPTIONAL):
        return True
    mine = {entry["type"]: entry for entry in status["conditions"]}
    said = {entry["type"]: entry for entry in before.get("conditions") or []}
    # A condition that no longer applies (such as after the last forward was removed) is removed; those of others stay.
    ours = decide.OPERATOR_CONDITIONS | decide.LEGACY_CONDITIONS | (set() if dispatcher_spoke else {"EventingReady"})
    stale = ours & said.keys() - mine.keys()
    return bool(stale) or any(said.get(kind) != entry for kind, entry in mine.items())
