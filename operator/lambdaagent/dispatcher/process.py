"""The dispatcher process: agents from the API server, events from RabbitMQ, deliveries recorded in the store."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from aiohttp import web

from lambdaagent import clock as clocks
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.children.base import Object
from lambdaagent.dispatcher.agent_handlers import Handlers
from lambdaagent.dispatcher.consumers import ConsumerManager
from lambdaagent.dispatcher.deduplication import WINDOW
from lambdaagent.dispatcher.eventing_ready import Conditions
from lambdaagent.dispatcher.metrics import CONTENT_TYPE, DispatcherMetrics
from lambdaagent.errors import LambdaAgentError, UsageError
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError
from lambdaagent.httpclient.wire import Target
from lambdaagent.kube import reading
from lambdaagent.kube.client import connect
from lambdaagent.kube.resources import LAMBDA_AGENT
from lambdaagent.kube.watch import Watcher
from lambdaagent.probe_server import listen, probes
from lambdaagent.settings import DispatcherSettings
from lambdaagent.store.factory import open_store
from lambdaagent.store.records import DeliveryStore

log = structlog.get_logger(__name__)
_STALE_SECONDS = 300.0
_PRUNE_SECONDS = 600.0


async def run(settings: DispatcherSettings) -> None:
    """Run until cancelled. Raises UsageError."""
    url = settings.amqp_url.get_secret_value()
    if not url:
        raise UsageError("LAMBDAAGENT_AMQP_URL is not set; the dispatcher consumes from the RabbitMQ that it names")
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(connect())
        trust = settings.trust
        opened = await open_store(settings.database.get_secret_value(), trust)
        stack.push_async_callback(opened.store.close)
        if not settings.database.get_secret_value():
            log.warning("deliveries.kept_in_memory", next_step="set LAMBDAAGENT_DATABASE to share them")
        client, clock, metrics = HttpClient(tls=trust.context), clocks.system(), DispatcherMetrics()
        stack.push_async_callback(client.close)
        broker = await stack.enter_async_context(
            RabbitMQBroker(
                url=url,
                name="lambdaagent dispatcher",
                queue_type=settings.queue_type,
                trust=trust,
                died=metrics.death,
            )
        )
        conditions = Conditions(api, metrics.error)
        handlers = Handlers(settings, broker, opened.store, client, clock, metrics)
        watchers = {
            namespace: Watcher(api, LAMBDA_AGENT, namespace=namespace) for namespace in settings.namespaces or (None,)
        }

        def watched(namespace: str) -> bool:
            watcher = watchers.get(namespace) or watchers.get(None)
            return watcher is not None and watcher.synced.is_set()

        serving = ConsumerManager(broker, settings, watched, handlers.of, say=conditions.say, failed=metrics.error)
        metrics.gauge("agents", lambda: serving.consumers)
        metrics.gauge("broken", lambda: handlers.broken)

        def why_not_ready() -> str | None:
            if not broker.ready:
                return broker.problem
            if (missing := opened.problem()) is not None:
                return missing
            return None if serving.standing else "the queues are not declared yet"

        routes = _routes(
            metrics,
            why_not_ready,
            stale=lambda: any(each.synced.is_set() and each.age > _STALE_SECONDS for each in watchers.values()),
        )
        port = await stack.enter_async_context(listen(routes, host=settings.host, port=settings.port))
        log.info("server.started", host=settings.host, port=port)
        async with asyncio.TaskGroup() as group:
            for watcher in watchers.values():
                group.create_task(_follow(watcher, serving, conditions, handlers), name="feed")
            group.create_task(conditions.run(), name="conditions")
            group.create_task(_prune(opened.store, clock, metrics), name="prune")
            # Only after the agents are known. A namespace that is refused must not delay the others.
            for watcher in watchers.values():
                await watcher.settled.wait()
            group.create_task(serving.run(), name="serving")


async def _follow(watcher: Watcher, serving: ConsumerManager, conditions: Conditions, handlers: Handlers) -> None:
    async for change in watcher.changes():
        if change.type == "DELETED":
            serving.remove(change.key)
            conditions.forget(change.key)
            handlers.forget(change.key)
        else:
            _take(change.object, serving)


def _take(obj: Object, serving: ConsumerManager) -> None:
    agent = reading.read(obj)
    if agent is None:
        serving.unreadable((obj["metadata"]["namespace"], obj["metadata"]["name"]))
        return
    service = agent.status.service_status
    try:
        target = Target.parse(service.url) if service and service.url else None
    except BadTargetError as problem:
        log.warning("agent.url_refused", agent=agent.key, error=str(problem))
        target = None
    serving.upsert(agent, target)


async def _prune(store: DeliveryStore, clock: clocks.Clock, metrics: DispatcherMetrics) -> None:
    while True:
        await asyncio.sleep(_PRUNE_SECONDS)
        try:
            await store.prune_deliveries(before=clock.now() - 2 * WINDOW)
        except LambdaAgentError as problem:
            metrics.error("prune")
            log.warning("deliveries.prune_failed", error=str(problem))


def _routes(
    metrics: DispatcherMetrics, why_not_ready: Callable[[], str | None], *, stale: Callable[[], bool]
) -> list[web.RouteDef]:
    def ready() -> tuple[bool, str]:
        why = why_not_ready()
        return why is None, why or "ready"

    return probes(
        stale=lambda: "the API server sends nothing; see watch.failed in the log" if stale() else None,
        ready=ready,
        metrics=metrics.text,
        content_type=CONTENT_TYPE,
    )
