"""Counts messages that RabbitMQ dead-letters by itself, because a policy limits the agents' queues.

Copies of them arrive in an exclusive queue of this process, bound to the exchanges of dead letters by the header that
RabbitMQ writes when it dead-letters; a letter that a handler gave up lacks the header and is not copied. Every process
receives all copies, so all replicas report the same. A durable queue keeps the copies of the last hour, which a
starting process reads and returns, because events expire above all while no dispatcher runs. Both queues drop their
oldest messages, so every count is a lower bound.

Hazard: for RabbitMQ a dead letter is safe once any queue took it. While the queue of dead letters is missing, a letter
that only came here would be lost; so nothing is bound while that queue cannot be made, and `upkeep` makes a deleted one
again within seconds.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.errors import TopologyError
from lambdaagent.broker.protocol import Deaths
from lambdaagent.broker.rabbitmq import queues, sessions
from lambdaagent.broker.rabbitmq.channel import Channel, MissingError
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection, RenewingChannel
from lambdaagent.events import dead_letter_headers

log = structlog.get_logger(__name__)
HISTORY = "lambdaagent.deaths"
QUIET_SECONDS = 3600.0
"""Seconds without such a message after which the next one begins a new count."""
_LENGTH = 1000
_BOUNDS: Mapping[str, Any] = {"max_length": _LENGTH, "max_length_bytes": 32 * 2**20, "overflow": "drop-head"}
_PREFETCH = 100
_KEPT = 1000
"""The number of (queue, reason) pairs that are remembered; the oldest are dropped."""
_RECALL_SECONDS = 5.0
_REFUSED_SECONDS = 600.0
_NEXT_STEP = "use RabbitMQ 3.10 or later, and grant its user all rights on lambdaagent.*"
_MATCH = "all-with-x"
"""Compares `x-` headers too; RabbitMQ supports it since 3.10 and refuses it before."""


@dataclass
class DeathWatch:
    link: RabbitMQConnection
    exchanges: Callable[[], Collection[str]]
    """Returns the exchanges of dead letters."""
    died: Callable[[str], None]
    """Called with the reason of each message that arrives while this process watches."""
    backoff: Backoff
    now: Callable[[], float] = time.time
    counted: dict[tuple[str, str], Deaths] = field(default_factory=dict, init=False)
    """Counts by queue and reason."""
    bound: frozenset[str] = field(default=frozenset(), init=False)
    """The exchanges that are watched."""
    _doubted: set[str] = field(default_factory=set, init=False)
    _due: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _known: dict[Any, None] = field(default_factory=dict, init=False)  # the same death arrives in both queues

    async def run(self) -> None:
        """Watch until cancelled. The delivery of events does not depend on it."""
        await sessions.repeat(
            self._watching,
            backoff=self.backoff,
            failed=lambda problem: log.info("dead_letters.watch_failed", error=str(problem)),
        )

    async def _watching(self, works: Callable[[], None]) -> None:
        while not self.exchanges():
            await self._due.wait()
            self._due.clear()
        try:
            channel = await self.link.channel()
            try:
                await self._watch(channel)
                works()
            finally:
                self.bound = frozenset()
                await channel.close()
        except TopologyError as problem:
            log.warning("dead_letters.watch_failed", error=str(problem), next_step=_NEXT_STEP)
            await asyncio.sleep(_REFUSED_SECONDS)

    def look(self) -> None:
        """Bind to all present exchanges, again where need be: an exchange may have been deleted with its bindings."""
        self._due.set()

    def doubt(self, exchange: str) -> None:
        """Unbind from the exchange: its queue of dead letters is missing, and a copy here must not count as safe."""
        self._doubted.add(exchange)
        self.look()

    def trust(self, exchange: str) -> None:
        self._doubted.discard(exchange)

    def forget(self, queue: str) -> None:
        for each in [each for each in self.counted if each[0] == queue]:
            del self.counted[each]

    async def _watch(self, channel: Channel) -> None:
        queue = f"{HISTORY}.{secrets.token_hex(8)}"
        await queues.ensure_exclusive(channel, queue, **_BOUNDS)
        await queues.ensure(channel, HISTORY, message_ttl=round(QUIET_SECONDS * 1000), **_BOUNDS)
        channel.raw.add_on_cancel_callback(lambda _frame: channel.shut())
        await channel.call(channel.raw.basic_qos, prefetch_count=_PREFETCH)

        def arrived(_raw: Any, method: Any, properties: Any, _body: bytes) -> None:
            channel.raw.basic_ack(method.delivery_tag)
            if (death := self._add(properties)) is not None:
                self.died(death.reason)
                if self.counted[death.queue, death.reason].count == 1:
                    next_step = "see rabbitmqctl list_policies; the events are in the queue of dead letters"
                    log.warning(
                        "events.dead_lettered_by_rabbitmq", queue=death.queue, reason=death.reason, next_step=next_step
                    )

        await channel.call(channel.raw.basic_consume, queue=queue, on_message_callback=arrived)
        recalled = False
        while channel.is_open:
            self._due.clear()
            self.bound = await self._bind(list(self.exchanges()), (queue, HISTORY))
            if not recalled:
                await self._recall()
                recalled = True
            due = asyncio.ensure_future(self._due.wait())
            either: list[asyncio.Future[Any]] = [due, channel.closed]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            due.cancel()

    async def _bind(self, exchanges: Collection[str], to: Collection[str]) -> frozenset[str]:
        """Bind the queues; return the exchanges that were bound and are not doubted."""
        # No value: the header must exist, with any value.
        arguments = {"x-match": _MATCH, "x-first-death-reason": None}
        missing: set[str] = set()
        async with RenewingChannel(self.link) as renewed:
            for exchange in exchanges:
                for queue in to:
                    channel = await renewed.channel()
                    method = channel.raw.queue_unbind if exchange in self._doubted else channel.raw.queue_bind
                    try:
                        await channel.call(method, queue=queue, exchange=exchange, routing_key="", arguments=arguments)
                    except MissingError:
                        missing.add(exchange)  # it is made again, and bound at the next check
        return frozenset(exchanges) - missing - self._doubted

    async def _recall(self) -> None:
        """Count what the durable queue has, and leave it there."""
        channel = await self.link.channel()
        try:
            declared = await channel.call(channel.raw.queue_declare, queue=HISTORY, passive=True)
            left, all_here = declared.method.message_count, asyncio.Event()

            def arrived(_raw: Any, _method: Any, properties: Any, _body: bytes) -> None:
                nonlocal left
                left -= 1
                self._add(properties)
                if left <= 0:
                    all_here.set()

            if left:
                await channel.call(channel.raw.basic_qos, prefetch_count=_LENGTH)
                await channel.call(channel.raw.basic_consume, queue=HISTORY, on_message_callback=arrived)
                try:
                    async with asyncio.timeout(_RECALL_SECONDS):
                        await all_here.wait()
                except TimeoutError:
                    log.info("dead_letters.history_read_failed", missing=left)  # another process is reading them
        finally:
            await channel.close()

    def _add(self, properties: Any) -> dead_letter_headers.Death | None:
        """Count a death; None if RabbitMQ did not decide it, or if it is known."""
        headers = properties.headers or {}
        death = dead_letter_headers.death_by_rabbitmq(headers)
        if death is None:
            return None
        key = (properties.message_id, str(headers.get("id")), str(headers.get("source")), death)
        if key in self._known:
            return None
        self._known[key] = None
        while len(self._known) > 2 * _LENGTH:
            del self._known[next(iter(self._known))]
        self._count(death)
        return death

    def _count(self, death: dead_letter_headers.Death) -> None:
        now = self.now()
        at = min(now, death.at or now)
        known = self.counted.pop((death.queue, death.reason), None)
        if known is None or at - known.at > QUIET_SECONDS:
            known = Deaths(0, at, at)
        self.counted[death.queue, death.reason] = Deaths(known.count + 1, min(known.since, at), max(known.at, at))
        while len(self.counted) > _KEPT:
            del self.counted[next(iter(self.counted))]
