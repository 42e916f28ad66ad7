"""Assembles a gateway and starts its server; the caller provides the agents, the store and the broker."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TypedDict

from aiohttp import web

from lambdaagent.a2a.errors import Edition
from lambdaagent.a2a.params import PARTS
from lambdaagent.a2a.signing import Signer
from lambdaagent.clock import Clock
from lambdaagent.containers.call import HttpCaller
from lambdaagent.containers.callee import Callee
from lambdaagent.errors import PermanentError, UsageError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.http import MOST_EVENTS
from lambdaagent.gateway.app import create_app, make_runner
from lambdaagent.gateway.directory import Directory, Entry, NotListedError
from lambdaagent.gateway.events.lifecycle import Publish, TaskLifecyclePublisher, cancellation
from lambdaagent.gateway.events.publishers import SubscriptionIndex
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.metrics import GatewayMetrics
from lambdaagent.gateway.routes import takes_events
from lambdaagent.gateway.services import EventPublisher, Exchanges, Failed, unheard
from lambdaagent.http_server import HEADER_BYTES
from lambdaagent.http_server import HeadLimits as Heads
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.settings import GatewaySettings
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.event_calls import Send
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore, PushDelivery
from lambdaagent.trust import SYSTEM, Trust
from lambdaagent.webhooks import address_check
from lambdaagent.webhooks.push_request import HttpPushNotifier
from lambdaagent.webhooks.push_signature import PushSigner


@dataclass(frozen=True, slots=True)
class RunningGateway:
    port: int
    tasks: Engine


class ServingOptions(TypedDict):
    """The options of `serve` that come from settings."""

    public_url: str
    trust_forwarded: bool
    max_body: int
    max_parts: int
    max_batch: int
    max_header: int
    refuse_unrouted: bool
    tell_tasks: bool
    errors: Edition
    limits: EngineLimits


def said(settings: GatewaySettings) -> ServingOptions:
    """Return the options that the gateway and `dev` take from settings alike."""
    return ServingOptions(
        public_url=settings.public_url,
        trust_forwarded=settings.trust_forwarded,
        max_body=settings.max_body_bytes,
        max_parts=settings.max_parts,
        max_batch=settings.max_batch_events,
        max_header=settings.max_header_bytes,
        refuse_unrouted=settings.refuse_unrouted,
        tell_tasks=settings.lifecycle_events,
        errors=Edition(settings.protocol_errors),
        limits=EngineLimits(retention=settings.task_retention_days * 86_400, kept=settings.tasks_kept or None),
    )


async def serve(
    stack: AsyncExitStack,
    *,
    directory: Directory,
    store: EngineStore,
    publisher: EventPublisher,
    exchanges: Exchanges,
    client: HttpClient,
    clock: Clock,
    ready: Callable[[], str | None],
    host: str,
    port: int,
    keys: Mapping[str, bytes],
    public_url: str,
    trust_forwarded: bool,
    max_body: int,
    max_parts: int = PARTS,
    max_batch: int = MOST_EVENTS,
    shutdown_timeout: float,
    refuse_unrouted: bool = False,
    tell_tasks: bool = False,
    errors: Edition = Edition.LATEST,
    signer: Signer | None = None,
    voucher: PushSigner | None = None,
    push_allow: Sequence[address_check.Network] = (),
    trust: Trust = SYSTEM,
    replica: str = "",
    limits: EngineLimits | None = None,
    own_routes: Sequence[web.RouteDef] | None = None,
    max_header: int = HEADER_BYTES,
    takes_events: Callable[[str], bool] = takes_events,
    failed: Failed = unheard,
    on_state_change: Callable[[TaskRecord], None] | None = None,
) -> RunningGateway:
    """Listen until `stack` is closed; port 0 takes a free port. Raises UsageError if it cannot listen.

    `failed` is called for each failed request, `on_state_change` for each new state of a task.
    """
    metrics = GatewayMetrics()
    bounds = limits or EngineLimits()
    # A task has room for a message of the maximum body size, its answer and a second turn.
    bounds = replace(bounds, largest=max(bounds.largest, 3 * max_body))
    notifier = HttpPushNotifier(address_check.public(allowed=push_allow), voucher=voucher, trust=trust)
    stack.push_async_callback(notifier.close)
    publish, lifecycle = publishing(directory, exchanges, publisher), None
    if tell_tasks:
        lifecycle = TaskLifecyclePublisher(publish, metrics.ingress)
        await stack.enter_async_context(lifecycle.run())
    cancellations = TaskLifecyclePublisher(publish, metrics.ingress, event=cancellation)
    await stack.enter_async_context(cancellations.run())

    def canceled(record: TaskRecord) -> None:
        try:
            entry = directory.get(record.namespace, record.agent)
        except NotListedError:
            return  # the agent was removed meanwhile; the task is canceled all the same
        if entry is not None and own_routes is None and hears(entry, cancellation(record)):
            cancellations.tell(record)

    tasks = Engine(
        store=store,
        caller=HttpCaller(client=client, clock=clock),
        clock=clock,
        observer=metrics,
        lookup=directory.callee,
        pusher=PushDelivery(store=store, notifier=notifier, clock=clock, observer=metrics),
        replica=replica,
        limits=bounds,
        canceled=canceled,
        send=calling(publish) if own_routes is None else None,
        on_state_change=_all(
            [each for each in (lifecycle.tell if lifecycle is not None else None, on_state_change) if each is not None]
        ),
    )
    app = create_app(
        directory=directory,
        tasks=tasks,
        letters=store,
        publisher=publisher,
        exchanges=exchanges,
        client=client,
        metrics=metrics,
        clock=clock,
        ready=ready,
        keys=keys,
        public_url=public_url,
        trust_forwarded=trust_forwarded,
        max_body=max_body,
        max_parts=max_parts,
        max_batch=max_batch,
        refuse_unrouted=refuse_unrouted,
        errors=errors,
        signer=signer,
        own_routes=own_routes,
        heads=Heads(header=max_header),
        failed=failed,
        takes_events=takes_events,
    )
    runner = make_runner(app, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        hint = "choose another port (LAMBDAAGENT_PORT; dev also accepts --port), or stop what listens there"
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}; {hint}") from None
    return RunningGateway(port=runner.addresses[0][1], tasks=tasks)


def _all(listeners: Sequence[Callable[[TaskRecord], None]]) -> Callable[[TaskRecord], None]:
    def tell(record: TaskRecord) -> None:
        for listener in listeners:
            listener(record)

    return tell


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
        try:
            routed = await publish(callee.namespace, callee.name, event)
        except ProblemError as problem:
            raise PermanentError(str(problem).rstrip(".")) from problem
        if not routed:
            detail = f"nothing on the Broker of {callee.key} subscribes to it; see the agent's condition EventingReady"
            raise PermanentError(detail)

    return send
