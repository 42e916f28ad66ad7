"""The operator process: waits for the Lease, then lets kopf watch the agents while our own watches follow children.

What changed only puts keys into the queue, so a reconcile is level-triggered and stores nothing but status. Everything
that writes runs inside the Lease and is cancelled with it.
"""

import asyncio
import secrets
import socket

import structlog

from lambdaagent.api import naming
from lambdaagent.children.base import AgentKey, Object, backends
from lambdaagent.controller import agents
from lambdaagent.controller.caches import Caches
from lambdaagent.controller.queue import WorkQueue
from lambdaagent.controller.reconciling import Reconciler
from lambdaagent.kube.client import Client, connect
from lambdaagent.kube.discovery import served_versions
from lambdaagent.kube.lease import Lease, LeaseSettings
from lambdaagent.settings import OperatorSettings

log = structlog.get_logger(__name__)


async def run(settings: OperatorSettings, *, ready: asyncio.Event | None = None) -> None:
    """Until cancelled or told to stop by a signal; `ready` is set while this process leads and is in step."""
    async with connect() as client:
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
        log.info("waiting for the lease", lease=naming.LEASE, namespace=lease.namespace, identity=lease.identity)
        await lease.run(lambda: lead(client, settings, ready=ready))


async def lead(client: Client, settings: OperatorSettings, *, ready: asyncio.Event | None = None) -> None:
    served = await served_versions(client)
    chosen = backends(settings, served)
    log.info("backends", serving=chosen.serving, eventing=chosen.eventing, monitoring=chosen.monitoring)
    queue: WorkQueue

    def wake(key: AgentKey) -> None:
        queue.add(key)

    caches = Caches(client, served, wake)
    reconciler = Reconciler(
        client,
        caches,
        settings,
        chosen,
        resync_seconds=settings.resync_seconds,
        instance=settings.pod_name or naming.MANAGER,
    )
    queue = WorkQueue(reconciler.reconcile, workers=settings.workers)
    async with caches.run(), queue.run():
        try:
            await agents.follow(lambda kind, obj: _changed(reconciler, queue, kind, obj), ready=ready)
        finally:
            if ready:
                ready.clear()


def _changed(reconciler: Reconciler, queue: WorkQueue, kind: str | None, obj: Object) -> None:
    key: AgentKey = (obj["metadata"]["namespace"], obj["metadata"]["name"])
    if kind == "DELETED":
        concerned = reconciler.gone(key)
        queue.forget(key)
    else:
        concerned = reconciler.seen(obj)
    for each in concerned:
        queue.add(each)
