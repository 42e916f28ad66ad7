"""The operator process: waits for the Lease, then follows agents with kopf and children with watches of its own.

A change only puts keys into the queue, so a reconcile is level-triggered and stores nothing but status. All writes
happen while the Lease is held and are cancelled when it is lost.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from lambdaagent.api import naming
from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey, Object, backends
from lambdaagent.controller import health, kopf_watch, served_apis
from lambdaagent.controller.audit import Auditor
from lambdaagent.controller.child_cache import ChildCaches
from lambdaagent.controller.container_cards import ContainerCards
from lambdaagent.controller.diagnostics import Diagnostics
from lambdaagent.controller.external_agents import ExternalAgents
from lambdaagent.controller.lifecycle import AgentLifecyclePublisher
from lambdaagent.controller.metrics import OperatorMetrics
from lambdaagent.controller.own_image import with_sidecar_image
from lambdaagent.controller.probing import Prober
from lambdaagent.controller.queue import WorkQueue
from lambdaagent.controller.reconciling import Reconciler
from lambdaagent.controller.sidecar_rules import with_sidecar_rules
from lambdaagent.controller.tool_addresses import check_of
from lambdaagent.controller.tool_discovery import ToolDiscovery
from lambdaagent.kube.client import KubeClient, connect
from lambdaagent.kube.lease import Lease, LeaseSettings
from lambdaagent.kube.resources import BROKER
from lambdaagent.kube.secrets import Secrets
from lambdaagent.settings import OperatorSettings
from lambdaagent.status.lifecycle import Happening

Tell = Callable[[Object, Happening, Object], None]
log = structlog.get_logger(__name__)


async def run(settings: OperatorSettings, *, ready: asyncio.Event | None = None) -> None:
    """Run until cancelled or stopped by a signal. `ready` is set while this process leads and follows the agents."""
    metrics = OperatorMetrics()
    async with (
        health.serve(metrics, host=settings.host, port=settings.port) as port,
        _telling(settings, metrics) as tell,
        connect() as client,
    ):
        lease = Lease(
            client,
            naming.LEASE,
            identity=f"{settings.pod_name or socket.gethostname()}_{secrets.token_hex(4)}",
            namespace=settings.pod_namespace or client.namespace,
            settings=LeaseSettings(
                duration=settings.lease_duration,
                renew_deadline=settings.lease_duration * 2 / 3,
                retry_period=settings.lease_duration * 2 / 15,
            ),
        )
        settings = with_sidecar_rules(await with_sidecar_image(client, settings))
        log.info("lease.awaited", namespace=lease.namespace, identity=lease.identity, port=port)
        await lease.run(lambda: lead(client, settings, metrics=metrics, tell=tell, ready=ready))


@asynccontextmanager
async def _telling(settings: OperatorSettings, metrics: OperatorMetrics) -> AsyncIterator[Tell]:
    """Yield the function that publishes lifecycle events. It runs outside of the Lease: events about writes under the
    Lease are still sent after its loss, and an event that is sent twice does no harm."""
    if not settings.lifecycle_events:
        yield _nobody
    elif not settings.events_url:
        log.warning("lifecycle_events.disabled", next_step="set LAMBDAAGENT_EVENTS_URL to the URL of the gateway")
        yield _nobody
    else:
        publisher = AgentLifecyclePublisher(
            settings.events_url, metrics.count, trust=settings.trust, token_file=settings.events_token_file
        )
        async with publisher.run():
            yield publisher.tell


def _nobody(obj: Object, happening: Happening, status: Object) -> None:
    """Ignores lifecycle events, where they are off."""


async def lead(
    client: KubeClient,
    settings: OperatorSettings,
    *,
    metrics: OperatorMetrics,
    tell: Tell = _nobody,
    ready: asyncio.Event | None = None,
) -> None:
    """Run until cancelled. Starts again if the cluster serves other APIs, so that `auto` follows, or if kopf ended."""
    backoff = Backoff()
    while True:
        served = await served_apis.served(client)
        work = _term(client, settings, served, metrics=metrics, tell=tell, ready=ready)
        term = asyncio.create_task(work, name="term")
        other_than = served_apis.asked_other_than if settings.namespaces else served_apis.other_than
        news = asyncio.create_task(other_than(client, served), name="served APIs")
        try:
            await asyncio.wait([term, news], return_when=asyncio.FIRST_COMPLETED)
            if term.done():
                term.result()
            news.result()
            log.info("served_apis.changed")
            backoff.reset()
        except kopf_watch.EndedError as problem:
            seconds = backoff.next()
            log.warning("kopf.ended", error=str(problem), retry_seconds=round(seconds, 1))
            await asyncio.sleep(seconds)
        finally:
            await cancel(term, news)


async def _term(
    client: KubeClient,
    settings: OperatorSettings,
    served: frozenset[str],
    *,
    metrics: OperatorMetrics,
    tell: Tell,
    ready: asyncio.Event | None,
) -> None:
    chosen = backends(settings, served)
    log.info("backends.chosen", serving=chosen.serving, eventing=chosen.eventing, monitoring=chosen.monitoring)
    queue: WorkQueue

    def wake(key: AgentKey) -> None:
        queue.add(key)

    child_caches = ChildCaches(client, served, wake, settings.namespaces)

    def wake_owners(broker: AgentKey) -> None:
        for owner in child_caches.owners(BROKER, *broker):
            wake(owner)

    diagnostics = Diagnostics(client, served, wake, wake_owners, settings.namespaces)
    trust = settings.trust
    prober = Prober(settings.ai_probe_seconds, wake, trust=trust)
    cards = ContainerCards(wake, trust=trust)
    tools = ToolDiscovery(
        settings.tools_sync_seconds,
        wake,
        Secrets(client),
        check=check_of(settings),
        domain=settings.cluster_domain,
        trust=trust,
    )
    external = ExternalAgents(settings.tools_sync_seconds, wake, Secrets(client), check=check_of(settings), trust=trust)
    reconciler = Reconciler(
        client,
        child_caches,
        diagnostics,
        prober,
        cards,
        tools,
        external,
        settings,
        chosen,
        wake,
        resync_seconds=settings.resync_seconds,
        instance=settings.pod_name or naming.MANAGER,
        tell=tell,
    )

    async def process(key: AgentKey) -> float | None:
        with metrics.reconcile():
            child_caches.require(key[0])
            return await reconciler.reconcile(key)

    queue = WorkQueue(process, workers=settings.workers)
    auditor = Auditor(
        client,
        reconciler.agent_cache.versions,
        lambda key: _gone(reconciler, queue, key),
        every=settings.resync_seconds,
        namespaces=settings.namespaces,
    )
    async with child_caches.run(), diagnostics.run(), prober.run(), cards.run(), tools.run(), external.run():
        metrics.insight = _Insight(reconciler, child_caches, diagnostics, queue)
        try:
            await _first(
                kopf_watch.follow(
                    lambda kind, obj: _changed(reconciler, queue, kind, obj),
                    namespaces=settings.namespaces,
                    ready=ready,
                ),
                auditor.run(),
                _work(queue),
            )
        finally:
            metrics.insight = None
            if ready:
                ready.clear()


@dataclass(frozen=True, slots=True)
class _Insight:
    reconciler: Reconciler
    child_caches: ChildCaches
    diagnostics: Diagnostics
    queue: WorkQueue

    def phases(self) -> Iterator[str]:
        return (
            (obj.get("status") or {}).get("phase", "Unknown") for obj in list(self.reconciler.agent_cache.raw.values())
        )

    def children(self) -> Iterator[str]:
        return self.child_caches.kinds()

    @property
    def depth(self) -> int:
        return self.queue.depth

    @property
    def age(self) -> float:
        return max(self.child_caches.age, self.diagnostics.age)


def _changed(reconciler: Reconciler, queue: WorkQueue, kind: str | None, obj: Object) -> None:
    key: AgentKey = (obj["metadata"]["namespace"], obj["metadata"]["name"])
    if kind == "DELETED":
        _gone(reconciler, queue, key)
        return
    for each in reconciler.agent_cache.seen(obj):
        queue.add(each)


def _gone(reconciler: Reconciler, queue: WorkQueue, key: AgentKey) -> None:
    concerned = reconciler.agent_cache.gone(key)
    reconciler.cards.forget(key)
    queue.forget(key)
    for each in concerned:
        queue.add(each)


async def _work(queue: WorkQueue) -> None:
    """Run the workers beside kopf: writes must stop at once when the Lease is lost, and kopf takes longer to end."""
    async with queue.run():
        await asyncio.Event().wait()


async def _first(*works: Coroutine[Any, Any, None]) -> None:
    """Wait until one of the coroutines ends, cancel the others, and raise what the ended one raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await cancel(*tasks)
