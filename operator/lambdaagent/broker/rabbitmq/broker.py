"""The broker on RabbitMQ, with two connections: one publishes, one consumes.

While it is short of memory, RabbitMQ stops reading from connections that publish; acknowledgements on the same
connection would be blocked too. After every reconnection the declared topology is made again before the first publish,
so that a broker which lost its state does not drop events as unroutable; between reconnections `upkeep` checks it.
`deaths` counts what RabbitMQ dead-letters by itself.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.bindings import ExchangeDeclaration, Keep, keep_none
from lambdaagent.broker.errors import BrokerUnavailableError, RefusedQueuesError, TopologyError
from lambdaagent.broker.protocol import Deaths, Handler, Loss
from lambdaagent.broker.rabbitmq import queues
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.consumer import Consumer, buried
from lambdaagent.broker.rabbitmq.delays import Delays
from lambdaagent.broker.rabbitmq.ordered import OrderedConsumer
from lambdaagent.broker.rabbitmq.ordered_head import OrderedHeads
from lambdaagent.broker.rabbitmq.orphans import Orphans
from lambdaagent.broker.rabbitmq.parallel import ParallelConsumer
from lambdaagent.broker.rabbitmq.policy_deaths import DeathWatch
from lambdaagent.broker.rabbitmq.publisher import Publisher
from lambdaagent.broker.rabbitmq.repair import Upkeep
from lambdaagent.broker.rabbitmq.topology import QueueTopology
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp
from lambdaagent.events.cloudevents import Event
from lambdaagent.trust import SYSTEM, Trust

log = structlog.get_logger(__name__)


class RabbitMQBroker:
    def __init__(
        self,
        *,
        url: str,
        name: str = "lambdaagent",
        queue_type: str = "quorum",
        window: int = 256,
        publish_timeout: float = 10.0,
        declare_timeout: float = 60.0,
        drain_timeout: float = 30.0,
        turn_seconds: float = 600.0,
        heartbeat: int = 20,
        look_every: float = 5.0,
        backoff: Backoff | None = None,
        trust: Trust = SYSTEM,
        died: Callable[[str], None] = lambda _reason: None,
    ) -> None:
        """`died` is called with the reason of each message that RabbitMQ dead-letters by itself."""
        self._backoff = backoff or Backoff(first=0.2, cap=15.0)
        self._out = RabbitMQConnection(
            url=url, name=f"{name} publishing", heartbeat=heartbeat, backoff=self._backoff, trust=trust
        )
        self._in = RabbitMQConnection(
            url=url, name=f"{name} consuming", heartbeat=heartbeat, backoff=self._backoff, trust=trust
        )
        self._topology = QueueTopology(self._out, queue_type=queue_type)
        self._publisher = Publisher(
            self._out, restore=self._restore, window=window, timeout=publish_timeout, backoff=self._backoff
        )
        self._declare_timeout = declare_timeout
        self._drain_timeout = drain_timeout
        self._turn_seconds = turn_seconds
        self._wanted: dict[str, ExchangeDeclaration] = {}
        # What was declared on this connection: only differences from it are declared.
        self._standing: dict[str, ExchangeDeclaration] = {}
        self._heads = OrderedHeads(self._in, self._publisher)
        self._delays = Delays(self._in, self._publisher)
        self._queue_type = queue_type
        self._consumers: set[Consumer] = set()
        self._upkeep = Upkeep(
            standing=lambda: self._standing,
            mend=self._mend,
            mend_shared=self._mend_shared,
            ready=lambda: self.ready,
            every=look_every,
        )
        self._orphans = Orphans(self._out, self._consumed, ready=lambda: self.ready, every=look_every)
        self._death_watch = DeathWatch(self._in, self._letters, died, self._backoff)
        self._tasks: list[asyncio.Task[None]] = []
        # The lock on the broker belongs to the connection, so it does not separate two tasks of this process.
        self._declaring = asyncio.Lock()

    async def __aenter__(self) -> "RabbitMQBroker":
        self._out.start()
        self._in.start()
        self._publisher.start()
        self._tasks = [
            asyncio.create_task(self._upkeep.run(), name="look after RabbitMQ"),
            asyncio.create_task(self._death_watch.run(), name="watch deaths on RabbitMQ"),
            asyncio.create_task(self._orphans.run(), name="return orphans on RabbitMQ"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await cancel(*self._tasks)
        await self._publisher.stop()
        await self._in.stop()
        await self._out.stop()

    @property
    def ready(self) -> bool:
        return self._publisher.ready and self._in.connected

    @property
    def problem(self) -> str:
        if self.ready:
            return ""
        if not self._out.unblocked.is_set():
            return "RabbitMQ accepts no messages because it is short of memory or disk space; see its log"
        return self._out.problem or self._in.problem or "there is no connection to RabbitMQ yet"

    @property
    def losses(self) -> Mapping[str, Loss]:
        return self._upkeep.losses

    @property
    def deaths(self) -> Mapping[tuple[str, str], Deaths]:
        return self._death_watch.counted

    async def wait_ready(self) -> None:
        await self._publisher.wait_ready()

    async def declare(self, declaration: ExchangeDeclaration) -> frozenset[str]:
        exchange = declaration.exchange
        async with self._in_time(f"declaring {exchange}"), self._declaring:
            before = self._standing.pop(exchange, None)
            self._wanted[exchange] = declaration
            try:
                stale = await self._topology.declare(declaration, before=before if _same(before, declaration) else None)
            except RefusedQueuesError as problem:
                rest = {name: bindings for name, bindings in declaration.queues.items() if name not in problem.refused}
                self._standing[exchange] = replace(declaration, queues=rest)
                self._death_watch.look()
                raise
            self._standing[exchange] = declaration
            self._death_watch.look()
            return stale

    async def exchanges(self) -> frozenset[str]:
        async with self._in_time("listing the exchanges"), self._declaring:
            return await self._topology.exchanges()

    def doubt(self) -> None:
        """Make the next declaration check everything again, because it may have been removed."""
        self._standing.clear()

    async def remove_queue(self, queue: str) -> None:
        async with self._in_time(f"removing {queue}"), self._declaring:
            # After a quorum queue is deleted and made again at once, its consumers receive nothing and no cancellation
            # (seen on 3.10). Consumers of this process are detached first; those of others need a moment in between.
            for consumer in self._consumers:
                if consumer.queue == queue:
                    consumer.reset()
            await self._topology.remove_queue(queue)
            self._death_watch.forget(queue)
            for known in (self._wanted, self._standing):
                for exchange, wanted in known.items():
                    rest = {name: bindings for name, bindings in wanted.queues.items() if name != queue}
                    known[exchange] = replace(wanted, queues=rest)

    async def remove_exchange(self, exchange: str, *, keep: Keep = keep_none) -> frozenset[str] | None:
        async with self._in_time(f"removing {exchange}"), self._declaring:
            self._wanted.pop(exchange, None)
            self._standing.pop(exchange, None)
            self._publisher.forget(exchange)
            return await self._topology.remove_exchange(exchange, keep=keep)

    async def publish(self, event: Event, *, exchange: str) -> bool:
        return await self._publisher.publish(amqp.write(event), exchange=exchange)

    @asynccontextmanager
    async def consume(
        self, queue: str, *, parallelism: int, handler: Handler, dead_letters: str
    ) -> AsyncIterator[None]:
        async def add_dead_letter(message: amqp.Message) -> None:
            buried(await self._publisher.publish(message, exchange=dead_letters), queue=dead_letters)

        def begin() -> Consumer:
            made = OrderedConsumer if parallelism == 1 else ParallelConsumer
            consumer = made(
                self._in,
                queue,
                parallelism=parallelism,
                handler=handler,
                add_dead_letter=add_dead_letter,
                prepare=lambda channel: queues.ensure_dead_letters(channel, dead_letters, queue_type=self._queue_type),
                heads=self._heads,
                delays=self._delays,
                lost=self._upkeep.tell,
                drain_timeout=self._drain_timeout,
                backoff=self._backoff,
            )
            consumer.start()
            self._consumers.add(consumer)
            return consumer

        async def take_turns() -> None:
            """Replace the consumer at intervals: a standby consumer takes over, and queues spread over processes."""
            while True:
                await asyncio.sleep(random.uniform(0.5, 1.5) * self._turn_seconds)  # noqa: S311
                await consumers[-1].stop(patiently=True)
                self._consumers.discard(consumers.pop())
                consumers.append(begin())

        consumers = [begin()]
        turns = asyncio.create_task(take_turns(), name=f"turns {queue}")
        try:
            yield
        finally:
            await cancel(turns)
            for consumer in consumers:
                self._consumers.discard(consumer)
                await consumer.stop()

    async def _restore(self) -> None:
        async with self._declaring:
            stood = dict(self._standing)
            self._standing.clear()
            self._delays.forget()
            for wanted in list(self._wanted.values()):
                try:
                    if stood.get(wanted.exchange) == wanted:
                        self._upkeep.note(wanted.exchange, await self._topology.mend(wanted))
                    else:
                        await self._topology.declare(wanted)
                    self._standing[wanted.exchange] = wanted
                except LambdaAgentError as problem:
                    # Publishing continues: the exchange may be unchanged.
                    log.error("topology.restore_failed", exchange=wanted.exchange, error=str(problem))

    async def _mend(self, exchange: str) -> dict[str, str] | None:
        async with self._in_time(f"the check of {exchange}"), self._declaring:
            wanted = self._standing.get(exchange)
            if wanted is None:
                return None
            letters = wanted.dead_letters or ""
            try:
                found = await self._topology.mend(wanted)
            except TopologyError:
                self._death_watch.doubt(letters)
                raise
            if letters in found and any(found.values()):
                self._death_watch.doubt(letters)
            else:
                self._death_watch.trust(letters)
            return found

    async def _mend_shared(self) -> None:
        self._death_watch.look()
        await self._delays.mend()

    def _consumed(self) -> set[str]:
        return {consumer.queue for consumer in self._consumers}

    def _letters(self) -> set[str]:
        """Return the declared exchanges of dead letters."""
        return {wanted.dead_letters for wanted in self._standing.values() if wanted.dead_letters is not None}

    @asynccontextmanager
    async def _in_time(self, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._declare_timeout):
                yield
        except TimeoutError:
            raise BrokerUnavailableError(
                f"{what} did not end within {self._declare_timeout:g} s; check that RabbitMQ can be reached"
            ) from None


def _same(before: ExchangeDeclaration | None, wanted: ExchangeDeclaration) -> bool:
    return before is not None and before.dead_letters == wanted.dead_letters
