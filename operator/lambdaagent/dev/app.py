"""`lambdaagent dev`: starts and stops the gateway, the broker, the store and the agents from one process.

What starts later uses what started earlier, and is stopped first. Files that become invalid while it runs are reported
and change nothing.
"""

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import structlog

from lambdaagent import clock as clocks
from lambdaagent.access.rules import Mode
from lambdaagent.api import naming
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.broker.inprocess import Bury, InProcessBroker
from lambdaagent.broker.protocol import Broker
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.children import gateway as gateway_urls
from lambdaagent.children.base import AgentKey, Backends, Observed
from lambdaagent.children.brokers import BrokerIdentity, broker_of
from lambdaagent.children.warnings import warnings
from lambdaagent.dev import environment, failures, folders, starting
from lambdaagent.dev.start_gate import Gate, PatientClient
from lambdaagent.dev.supervisor import LocalAgent, Supervisor
from lambdaagent.dev.watching import ManifestPaths, changes
from lambdaagent.dispatcher.agent_handlers import Handlers
from lambdaagent.dispatcher.delivery import Reply
from lambdaagent.dispatcher.metrics import DispatcherMetrics
from lambdaagent.errors import LambdaAgentError, PermanentError, UsageError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause
from lambdaagent.gateway.access.loading import guarding
from lambdaagent.gateway.config import from_settings
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.events.errors import UnknownBrokerError
from lambdaagent.gateway.events.publishers import SubscriptionIndex, judged
from lambdaagent.gateway.serving import receivers, serve
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Target
from lambdaagent.kube import manifests
from lambdaagent.settings import GatewaySettings, Installation
from lambdaagent.store.errors import InUseError
from lambdaagent.store.records import DeadLetter, DeadLetterStore
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.store import SqliteStore
from lambdaagent.tasks.engine import Engine

log = structlog.get_logger(__name__)

# A receiver of push notifications that is being tried out runs on the same machine.
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
BACKENDS = Backends(serving="knative", eventing="rabbitmq", monitoring=True)


@dataclass(frozen=True, slots=True)
class Options:
    paths: Sequence[str]
    host: str
    port: int
    data: Path
    amqp: str
    insecure_open: bool  # serve the network although access is not checked
    commands: Mapping[AgentKey, tuple[str, ...]]
    settings: GatewaySettings
    """The gateway's settings about its clients; addresses and places are decided by `dev` itself."""


async def run(options: Options) -> None:
    """Run until cancelled. Raises PermanentError if the files have errors at the start, UsageError if they contain no
    agent, or if the network would reach an open gateway."""
    _require_safe(options)
    found = manifests.load(options.paths)
    for finding in found.errors:
        log.error("manifest.refused", error=str(finding))
    if found.errors:
        raise PermanentError(f"{len(found.errors)} problems in the files; nothing was started")
    if not found.agents:
        raise UsageError("no LambdaAgent in the files; name one, such as examples/echo-python")
    starting.require_known(options.commands, found.places)
    files = ManifestPaths(options.paths)
    async with AsyncExitStack() as stack:
        supervisor = await _assemble(options, stack)
        await _apply(supervisor, found)
        folders = lambda: files.folders | supervisor.folders  # noqa: E731
        async for changed in changes(folders, ignored=[options.data.resolve()]):
            if not changed or any(map(files.concerns, changed)):
                await _reload(options, supervisor)
            supervisor.edited(changed)


def _require_safe(options: Options) -> None:
    """Raises UsageError for an address that the network reaches, while everybody may do everything."""
    if _is_loopback(options.host) or options.insecure_open or _mode(options.settings) is Mode.ENFORCE:
        return
    raise UsageError(
        f"--host {options.host}: whoever reaches this address could call every agent; set LAMBDAAGENT_ACCESS=enforce "
        "with LAMBDAAGENT_ACCESS_FILE, or allow it with --insecure-open"
    )


async def _assemble(options: Options, stack: AsyncExitStack) -> Supervisor:
    """Start everything but the agents; `stack` stops it."""
    settings, clock = options.settings, clocks.system()
    config = replace(
        from_settings(settings, clock),
        host=options.host,
        port=options.port,
        metrics_port=None,
        tls=None,
        plain_port=None,
        keys={},
        local_only=_is_loopback(options.host),
        push_allow=[*LOOPBACK, *settings.push_allowed],
        shutdown_timeout=2.0,
    )
    sealing = Sealing(settings.sealing_keys, payloads=settings.encrypt_payloads)
    store = await _store(options.data, sealing)
    stack.push_async_callback(store.close)
    coordination = store.coordination(clock)
    stack.push_async_callback(coordination.close)
    broker = await stack.enter_async_context(_broker(options, store))
    directory, gates = Directory(), dict[Target, Gate]()
    client = PatientClient(
        limits=PoolLimits(connections=settings.agent_connections), gates=gates, tls=config.trust.context
    )
    exchanges = _Exchanges()
    supervisor: Supervisor

    def why_not_ready() -> str | None:
        if not broker.ready:
            return broker.problem
        return None if supervisor.bound else "the bindings of the agents are not declared yet"

    guard = await stack.enter_async_context(
        guarding(
            _mode(settings),
            settings.access_file,
            clock=clock,
            trust=config.trust,
            api=None,
            signer=config.card_signer,
        )
    )
    serving = await serve(
        stack,
        config,
        directory=directory,
        store=store,
        publisher=_Publisher(broker, directory, exchanges),
        exchanges=exchanges,
        client=client,
        clock=clock,
        ready=why_not_ready,
        guard=guard,
        failed=failures.of_request,
        sealing=sealing,
        on_state_change=failures.of_task,
        database=coordination,
        secret_headers=lambda namespace, wanted: supervisor.secret_headers(namespace, wanted),
    )
    local = f"http://{_reachable(options.host)}:{serving.port}"
    # Not from the environment: settings for a cluster would send the agents' events there.
    installation = Installation(gateway_url=local, events_url=local, event_keys="", eventing="rabbitmq")
    supervisor = Supervisor(
        installation=installation,
        directory=directory,
        broker=broker,
        client=client,
        handlers=Handlers(
            installation,
            broker,
            store,
            client,
            clock,
            DispatcherMetrics(),
            replies=lambda agent: _reply(agent, tasks=serving.tasks, broker=broker, exchanges=exchanges),
        ),
        sink=lambda agent: gateway_urls.events_from(agent, installation) or "",
        output=_print,
        own=os.environ,
        commands=options.commands,
        gates=gates,
        check=receivers(config, guard),
        trust=config.trust,
    )
    exchanges.supervisor = supervisor
    stack.push_async_callback(supervisor.stop)
    folders.keep_address(options.data, local)
    log.info("server.started", url=local, agents=f"{local}/agents")
    return supervisor


async def _store(data: Path, sealing: Sealing) -> SqliteStore:
    """Open the store. Raises UsageError if the folder cannot be used, StoreUnusableError if its database cannot."""
    folders.prepare(data)
    try:
        return await SqliteStore.open(folders.database(data), sealing=sealing)
    except InUseError:
        other = folders.address(data)
        raise UsageError(
            f"--data {data}: another dev{f' ({other})' if other else ''} uses this folder; stop that one, or start "
            f"this one with its own --data and --port, such as --data {data}-2 --port 8081"
        ) from None


def _mode(settings: GatewaySettings) -> Mode:
    """Return the mode that the user named; on one's own machine access is not checked without a word."""
    return Mode(settings.access) if "access" in settings.model_fields_set else Mode.OFF


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """Return the host by which processes on this machine reach the gateway."""
    try:
        address = ip_address(host or "0.0.0.0")  # noqa: S104 -- compared, not listened on
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)


@asynccontextmanager
async def _broker(options: Options, letters: DeadLetterStore) -> AsyncIterator[Broker]:
    if not options.amqp:
        async with InProcessBroker(add_dead_letter=_burying(letters)) as twin:
            yield twin
        return
    async with RabbitMQBroker(url=options.amqp, name="lambdaagent dev", trust=options.settings.trust) as broker:
        log.info("rabbitmq.awaited")
        await broker.wait_ready()
        yield broker


def _burying(letters: DeadLetterStore) -> Bury:
    """Return a function that stores dead letters in the database, where `lambdaagent events dlq` finds them."""

    async def add_dead_letter(event: Event, cause: DeathCause) -> None:
        namespace, _, name = cause.agent.partition("/")
        await letters.add_dead_letter(
            DeadLetter(
                namespace=namespace,
                agent=name,
                reason=cause.reason,
                received=cause.at,
                attributes=event.attributes(),
                data=event.data,
                code=cause.code,
                destination=cause.destination,
                attempts=cause.attempts,
            )
        )

    return add_dead_letter


async def _apply(supervisor: Supervisor, found: manifests.Manifests) -> None:
    for finding in found.skipped:
        log.warning("manifest.skipped", error=str(finding))
    known = environment.sources([document.obj for document in found.others])
    wanted = []
    observed = Observed(agents={(agent.namespace, agent.name): agent for agent in found.agents})
    for agent in found.agents:
        for warning in warnings(agent, supervisor.installation, BACKENDS, observed):
            log.warning("agent.warned", agent=agent.key, field=warning.field, warning=warning.message)
        wanted.append(LocalAgent(agent, manifests.folder(found, agent), known))
    await supervisor.apply(wanted)


async def _reload(options: Options, supervisor: Supervisor) -> None:
    try:
        found = manifests.load(options.paths)
        for finding in found.errors:
            log.error("manifest.refused", error=str(finding))
        if found.errors:
            log.error("files.reload_failed", next_step="correct the files; the agents run unchanged until then")
            return
        log.info("files.changed", agents=len(found.agents))
        await _apply(supervisor, found)
    except LambdaAgentError as problem:
        log.error("files.reload_failed", error=str(problem))


class _Exchanges:
    """Maps Brokers to exchanges; only exchanges that an agent of this `dev` uses exist."""

    def __init__(self) -> None:
        self.supervisor: Supervisor | None = None

    def shared(self, namespace: str) -> str:
        return self.broker(namespace, naming.SHARED_BROKER)

    def broker(self, namespace: str, broker: str) -> str:
        name = naming.exchange(namespace, broker)
        known = self.supervisor.exchanges if self.supervisor else frozenset()
        if name not in known:
            raise UnknownBrokerError(namespace, broker, known=sorted(known))
        return name

    def agent(self, agent: LambdaAgent) -> str:
        identity = self._identity(agent)
        return self.broker(agent.namespace, identity.name if identity else naming.SHARED_BROKER)

    def of(self, agent: LambdaAgent) -> str | None:
        """Return the agent's exchange; None if the agent has no eventing."""
        identity = self._identity(agent)
        return naming.exchange(*identity.key) if identity else None

    def _identity(self, agent: LambdaAgent) -> BrokerIdentity | None:
        return broker_of(agent, self.supervisor.installation if self.supervisor else Installation())


@dataclass(frozen=True, slots=True)
class _Publisher:
    """Publishes events, and reports as routed only those that an agent wants: the queue of a pattern takes all."""

    broker: Broker
    directory: Directory
    exchanges: _Exchanges

    async def publish(self, event: Event, *, exchange: str) -> bool:
        routed, taking = await self.broker.publish(event, exchange=exchange), SubscriptionIndex()
        for entry in self.directory.after(None):
            if self.exchanges.of(entry.agent) == exchange:
                taking.add(entry)
        return judged(event, routed, taking)


def _reply(agent: LambdaAgent, *, tasks: Engine, broker: Broker, exchanges: _Exchanges) -> Reply:
    async def reply(events: Sequence[Event]) -> None:
        for event in events:
            await tasks.advance(event, namespace=agent.namespace, agent=agent.name)
            await broker.publish(event, exchange=exchanges.agent(agent))

    return reply


def _print(name: str, line: str) -> None:
    sys.stdout.write(f"[{name}] {line}\n")
    sys.stdout.flush()
