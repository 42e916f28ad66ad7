"""The gateway process, with agents from the API server, tasks in a store and events published to Brokers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from secrets import token_hex

import structlog

from lambdaagent import clock as clocks
from lambdaagent.access.rules import Mode
from lambdaagent.broker.protocol import Broker
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.cancellation import cancel
from lambdaagent.containers.external import NoCredentialError, SecretHeaders
from lambdaagent.gateway import gc_tuning
from lambdaagent.gateway.access.loading import guarding
from lambdaagent.gateway.agent_feed import FirstList, feed
from lambdaagent.gateway.config import from_settings
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.events.publishers import BrokerExchanges, Brokers, KnativePublisher, RabbitMQPublisher
from lambdaagent.gateway.serving import serve
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.kube.client import connect
from lambdaagent.kube.resources import LAMBDA_AGENT
from lambdaagent.kube.secrets import CachedSecrets, Secrets, SecretValueError
from lambdaagent.kube.watch import Watcher
from lambdaagent.settings import GatewaySettings
from lambdaagent.store.errors import StoreError
from lambdaagent.store.factory import Opened, missing_keys, open_coordination, open_store
from lambdaagent.store.sealing import Sealing

log = structlog.get_logger(__name__)


async def run(settings: GatewaySettings) -> None:
    """Run the gateway until cancelled."""
    clock = clocks.system()
    replica = f"{socket.gethostname()}_{token_hex(4)}"
    config = replace(from_settings(settings, clock), replica=replica)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(connect())
        sealing = Sealing(settings.sealing_keys, payloads=settings.encrypt_payloads)
        opened = await _store(settings, sealing)
        stack.push_async_callback(opened.store.close)
        coordination = open_coordination(opened.store, clock)
        stack.push_async_callback(coordination.close)
        watchers = [Watcher(api, LAMBDA_AGENT, namespace=namespace) for namespace in settings.namespaces or (None,)]
        listing = FirstList(watchers)
        client = HttpClient(limits=PoolLimits(connections=settings.agent_connections), tls=config.trust.context)
        directory = Directory(listing.of)
        brokers = Brokers(directory)
        amqp = await stack.enter_async_context(_amqp(settings))
        connected = _Once(lambda: amqp is None or amqp.ready)

        def why_not_ready() -> str | None:
            if not listing.of(None):
                problem = next((watcher.error for watcher in watchers if watcher.error), None)
                return f"the agents are not listed yet: {problem or 'asking the API server'}"
            if (missing := opened.problem()) is not None:
                return missing
            return None if connected() else "RabbitMQ has not been connected yet"

        guard = await stack.enter_async_context(
            guarding(
                Mode(settings.access),
                settings.access_file,
                clock=clock,
                trust=config.trust,
                api=api,
                signer=config.card_signer,
            )
        )
        serving = await serve(
            stack,
            config,
            directory=directory,
            store=opened.store,
            publisher=RabbitMQPublisher(brokers, amqp) if amqp else KnativePublisher(brokers, client),
            exchanges=BrokerExchanges(brokers),
            client=client,
            clock=clock,
            ready=why_not_ready,
            guard=guard,
            sealing=sealing,
            rates=opened.rates,
            database=coordination,
            secret_headers=_secret_headers(CachedSecrets(Secrets(api, reader="gateway"))),
        )
        gc_tuning.settle()
        log.info(
            "server.started",
            host=config.host,
            port=serving.port,
            tls=config.tls is not None,
            metrics_port=serving.ports.metrics,
            events="rabbitmq" if amqp else "knative",
        )
        feeds = [feed(watcher, directory=directory, brokers=brokers) for watcher in watchers]
        following = [asyncio.create_task(each, name="feed") for each in feeds]
        for task in following:
            stack.push_async_callback(_end, task)
        await asyncio.gather(*following)


@dataclass
class _Once:
    """Whether a condition has held at least once.

    A wrong RabbitMQ URL thus stops a rollout, but a RabbitMQ that is lost later does not make the gateway unready: it
    still serves cards and calls, which need no RabbitMQ. Events get 503 meanwhile.
    """

    holds: Callable[[], bool]
    held: bool = False

    def __call__(self) -> bool:
        self.held = self.held or self.holds()
        return self.held


def _secret_headers(secrets: CachedSecrets) -> SecretHeaders:
    """Return what reads the credentials of external agents, each from the agent's own namespace."""

    async def headers(namespace: str, wanted: tuple[tuple[str, str, str], ...]) -> list[tuple[str, str]]:
        try:
            return await secrets.headers(namespace, wanted)
        except SecretValueError as error:
            raise NoCredentialError(str(error)) from None

    return headers


async def _end(task: asyncio.Task[None]) -> None:
    await cancel(task)


async def _store(settings: GatewaySettings, sealing: Sealing) -> Opened:
    database = settings.database.get_secret_value()
    if not database:
        log.warning("tasks.kept_in_memory", next_step="set LAMBDAAGENT_DATABASE to keep tasks across restarts")
    opened = await open_store(database, settings.trust, sealing=sealing)
    if (problem := opened.problem()) is not None:
        log.warning("store.open_failed", error=problem)
    else:
        await _report_missing_keys(database, settings, sealing)
    return opened


async def _report_missing_keys(database: str, settings: GatewaySettings, sealing: Sealing) -> None:
    try:
        missing = await missing_keys(database, sealing, settings.trust)
    except StoreError as error:
        log.warning("store.keys_unchecked", error=str(error))
        return
    if missing:
        next_step = "add these keys to LAMBDAAGENT_STORE_KEYS; what they encrypt gets 503 until then"
        log.error("store.keys_missing", kids=missing, next_step=next_step)


@asynccontextmanager
async def _amqp(settings: GatewaySettings) -> AsyncIterator[Broker | None]:
    url = settings.amqp_url.get_secret_value()
    if not url:
        yield None
        return
    async with RabbitMQBroker(url=url, name="lambdaagent gateway", trust=settings.trust) as broker:
        yield broker
