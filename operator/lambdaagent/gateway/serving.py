"""Assembles a gateway and starts its server; the caller provides the agents, the store and the broker."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lambdaagent.a2a import Json
from lambdaagent.access.rates import Buckets
from lambdaagent.clock import Clock
from lambdaagent.containers.call import HttpCaller
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.external import ExternalCalls, SecretHeaders, no_secrets
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.errors import PermanentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.access import standing_rights
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.access.shared_rates import sharing
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.coordination.workflow_caller import WorkflowCaller
from lambdaagent.gateway.directory import Directory, Entry, NotListedError
from lambdaagent.gateway.events.lifecycle import Publish, TaskLifecyclePublisher, cancellation
from lambdaagent.gateway.events.publishers import SubscriptionIndex
from lambdaagent.gateway.listening import Ports, listen
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.routes import gateway_routes
from lambdaagent.gateway.routes.route_types import RouteTable
from lambdaagent.gateway.services import EventPublisher, Exchanges, Failed, Services, ignore_failure
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.identity import assertions
from lambdaagent.store.records import RateStore, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.event_calls import Send
from lambdaagent.tasks.push_delivery import EngineStore, PushDelivery
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_request import HttpPushNotifier

if TYPE_CHECKING:
    from lambdaagent.gateway.coordination.parts import Coordination
    from lambdaagent.store.coordination.database import Database

_KEEP_IDLE = 3.0  # seconds that a connection to an external agent is kept


@dataclass(frozen=True, slots=True)
class RunningGateway:
    ports: Ports
    tasks: Engine

    @property
    def port(self) -> int:
        return self.ports.clients


async def serve(
    stack: AsyncExitStack,
    config: GatewayConfig,
    *,
    directory: Directory,
    store: EngineStore,
    publisher: EventPublisher,
    exchanges: Exchanges,
    client: HttpClient,
    clock: Clock,
    ready: Callable[[], str | None],
    table: RouteTable | None = None,
    guard: Guard | None = None,
    failed: Failed = ignore_failure,
    on_state_change: Callable[[TaskRecord], None] | None = None,
    sealing: Sealing | None = None,
    rates: RateStore | None = None,
    database: "Database | None" = None,
    secret_headers: SecretHeaders = no_secrets,
) -> RunningGateway:
    """Listen until `stack` is closed. Raises UsageError if it cannot listen or its certificate not be used.

    `table` replaces the gateway's routes. Without a `guard`, access is not checked. `failed` is called for each failed
    request, `on_state_change` for each new state of a task. `sealing` is that of the store, for the metrics.
    With `rates`, limits hold for all replicas together. `secret_headers` reads the credentials of external agents.
    `database` is that of coordination; a sidecar has none.
    """
    table, guard = table or gateway_routes.table(apart=config.metrics_port is not None), guard or Guard()
    metrics = GatewayMetrics(sealing.failures if sealing is not None else None)
    # A task has room for a message of the maximum body size, its answer and a second turn.
    limits = replace(config.limits, largest=max(config.limits.largest, 3 * config.max_body))
    notifier = HttpPushNotifier(receivers(config, guard), signer=config.push_signer, trust=config.trust)
    buckets = Buckets()
    if rates is not None:
        await stack.enter_async_context(sharing(buckets, rates, clock))
    publish, lifecycle = publishing(directory, exchanges, publisher), None
    if config.lifecycle_events:
        lifecycle = TaskLifecyclePublisher(publish, metrics.ingress)
        await stack.enter_async_context(lifecycle.run())
    cancellations = TaskLifecyclePublisher(publish, metrics.ingress, event=cancellation)
    await stack.enter_async_context(cancellations.run())

    def canceled_event(record: TaskRecord) -> None:
        try:
            entry = directory.get(record.namespace, record.agent)
        except NotListedError:
            return  # the agent was removed meanwhile; the task is canceled all the same
        if entry is not None and table.many_agents and hears(entry, cancellation(record)):
            cancellations.tell(record)

    external = await _external_calls(stack, config, client, check=receivers(config, guard), headers=secret_headers)
    told = WhoAsks(assertions.statement(config.card_signer, clock))
    coordination: Coordination | None = None

    async def shared_context(owner: str, context_id: str) -> Json | None:
        return await coordination.shared_context(owner, context_id) if coordination is not None else None

    caller = WorkflowCaller(
        HttpCaller(client=client, clock=clock, told=told, external=external),
        namespace=config.registry_namespace,
        clock=clock,
    )

    def canceled(record: TaskRecord) -> None:
        caller.canceled(record.namespace, record.agent, record.id, record.owner)
        canceled_event(record)

    tasks = Engine(
        store=store,
        caller=caller,
        clock=clock,
        observer=metrics,
        lookup=directory.callee,
        pusher=PushDelivery(
            store=store,
            notifier=notifier,
            clock=clock,
            observer=metrics,
            denied=standing_rights.of_pushes(guard, directory),
        ),
        replica=config.replica,
        limits=limits,
        canceled=canceled,
        letters=store,
        shared_context=shared_context,
        send=calling(publish) if table.many_agents else None,
        on_state_change=_all(
            [each for each in (lifecycle.tell if lifecycle is not None else None, on_state_change) if each is not None]
        ),
    )
    if database is not None:
        from lambdaagent.gateway.coordination import parts  # costs the import of SQLAlchemy

        check = receivers(config, guard)
        coordination = await stack.enter_async_context(
            parts.running(
                database,
                config,
                directory=directory,
                publisher=publisher,
                exchanges=exchanges,
                metrics=metrics,
                check=check,
                tasks=tasks,
                client=client,
                clock=clock,
                told=told,
                guard=guard,
                caller=caller,
            )
        )
    services = Services(
        config=config,
        directory=directory,
        tasks=tasks,
        letters=store,
        publisher=publisher,
        exchanges=exchanges,
        client=client,
        metrics=metrics,
        clock=clock,
        ready=ready,
        guard=guard,
        told=told,
        external=external,
        buckets=buckets,
        failed=failed,
        coordination=coordination,
    )
    return RunningGateway(await listen(stack, services, table=table), tasks)


async def _external_calls(
    stack: AsyncExitStack,
    config: GatewayConfig,
    client: HttpClient,
    *,
    check: address_check.CheckOf,
    headers: SecretHeaders,
) -> ExternalCalls:
    """Return how external agents are called: within the limits of `client`, at addresses that pass the check."""
    # A request on a connection that its server has just closed fails, and many servers close after 5 s.
    limits = replace(client.limits, keep_idle=_KEEP_IDLE)
    checked = HttpClient(limits=limits, tls=config.trust.context, dial=partial(address_check.dial, check=check))
    stack.push_async_callback(checked.close)
    return ExternalCalls(checked, headers)


def _all(listeners: Sequence[Callable[[TaskRecord], None]]) -> Callable[[TaskRecord], None]:
    def tell(record: TaskRecord) -> None:
        for listener in listeners:
            listener(record)

    return tell


def receivers(config: GatewayConfig, guard: Guard) -> address_check.CheckOf:
    """Return the check for the addresses of push receivers, and of external agents.

    It is by the settings and the access file in force.
    """
    return address_check.public(allowed=config.push_allow, trusted=lambda: guard.trusted_domains)


def hears(entry: Entry, event: Event) -> bool:
    """Return whether the agent subscribes to the event."""
    taking = SubscriptionIndex()
    taking.add(entry)
    return taking.takes(event)


def publishing(directory: Directory, exchanges: Exchanges, publisher: EventPublisher) -> Publish:
    """Return a function that publishes an event to an agent's Broker and returns whether an agent there takes it."""

    async def publish(namespace: str, name: str, event: Event) -> bool:
        entry = directory.get(namespace, name)
        if entry is None:
            raise PermanentError(f"the agent {namespace}/{name} no longer exists")
        return await publisher.publish(event, exchange=exchanges.agent(entry.agent))

    return publish


def calling(publish: Publish) -> Send:
    """Return a function that publishes a call to the Broker of the called agent."""

    async def send(callee: Callee, event: Event) -> None:
        if not await publish(callee.namespace, callee.name, event):
            detail = f"nothing on the Broker of {callee.key} subscribes to it; see the agent's condition EventingReady"
            raise PermanentError(detail)

    return send
