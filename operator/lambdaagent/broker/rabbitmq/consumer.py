"""Takes deliveries from one queue and settles each of them explicitly, as its handler decided.

A delivery belongs to the channel on which it came: when that breaks, the broker delivers it again, and the handler's
outcome is discarded. This class has what ordered (`ordered`) and unordered (`parallel`) consumption share: one channel
at a time, set up again whenever it breaks, and the settlement of deliveries.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.protocol import REQUEUE, BrokerDelivery, DeliveryOutcome, Handler, Settlement
from lambdaagent.broker.rabbitmq import sessions
from lambdaagent.broker.rabbitmq.channel import Channel, MissingError
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.delays import Delays
from lambdaagent.broker.rabbitmq.log_limit import LogLimit
from lambdaagent.broker.rabbitmq.ordered_head import OrderedHeads
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp
from lambdaagent.events.dead_letter_headers import REDRIVE, DeathCause, agent_of_queue, mark
from lambdaagent.events.errors import EventError

log = structlog.get_logger(__name__)

_AHEAD = 31
"""Deliveries prefetched beyond `parallelism`: without them each acknowledgement would cost a round trip."""
LONGEST = 120.0
"""The longest wait between two attempts, in seconds."""
Bury = Callable[[amqp.Message], Awaitable[None]]
"""Puts a message among the dead letters; returns after the confirm, or raises a TemporaryError."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery and the channel on which it must be settled."""

    channel: Channel
    tag: int
    message: amqp.Message
    redelivered: bool

    def ack(self) -> None:
        if self.channel.is_open:
            self.channel.raw.basic_ack(self.tag)


@dataclass(eq=False)
class Consumer(ABC):
    link: RabbitMQConnection
    queue: str
    parallelism: int
    handler: Handler
    add_dead_letter: Bury
    prepare: Callable[[Channel], Awaitable[None]]
    """Awaited on every new channel; makes what `add_dead_letter` needs."""
    heads: OrderedHeads
    delays: Delays
    lost: Callable[[], None]
    """Called when the queue is missing, or was deleted while it was consumed."""
    drain_timeout: float = 30.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=15.0))
    now: Callable[[], float] = time.time
    logged: LogLimit = field(default_factory=LogLimit)
    session: int = field(default=0, init=False)
    stopping: bool = field(default=False, init=False)
    # When the next channel is opened; no consumer of this process holds the queue during a pause.
    pause_until: float = field(default=0.0, init=False)
    _running: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _channel: Channel | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    @abstractmethod
    def begin(self, channel: Channel) -> None:
        """Prepare for the deliveries of a new channel."""

    @abstractmethod
    def take(self, taken: Taken) -> None: ...

    def start(self) -> None:
        self._task = asyncio.create_task(
            sessions.repeat(self._consuming, backoff=self.backoff, failed=self._failed),
            name=f"amqp consumer {self.queue}",
        )

    async def stop(self, *, patiently: bool = False) -> None:
        """Stop: running handlers may finish, up to `drain_timeout` or without limit; the rest is delivered again.

        The channel stays open until then: the next consumer must not begin while a handler still runs here.
        """
        self.stopping = True
        self.halt()
        if self._running:
            await asyncio.wait(self._running, timeout=None if patiently else self.drain_timeout)
        await cancel(*self._running)
        if self._task is not None:
            await cancel(self._task)
            self._task = None

    @abstractmethod
    def halt(self) -> None:
        """Wake tasks that wait for a delivery, because the consumer is stopping."""

    def reset(self) -> None:
        """Close the channel and consume on a new one; unsettled deliveries come again, in their order."""
        if self._channel is not None:
            self._channel.shut()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=f"deliver {self.queue}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _consuming(self, works: Callable[[], None]) -> None:
        """Consume, again after each pause, and return when the channel is closed for another reason."""
        paused = True
        while paused:
            # Bounded, because the clock of this or another process may be wrong.
            await asyncio.sleep(min(LONGEST, max(0.0, self.pause_until - self.now())))
            channel = await self.link.channel()
            try:
                await self._consume(channel)
                self.logged.over(self.queue)
                works()
                await asyncio.wait([channel.closed])
                paused = self.pause_until > self.now()
                if not (self.stopping or paused):
                    log.warning("consumer.interrupted", queue=self.queue, error=repr(channel.closed.result()))
            finally:
                self._channel = None
                await channel.close()

    def _failed(self, problem: LambdaAgentError) -> None:
        if isinstance(problem, MissingError):
            self.lost()
        if self.logged.news(self.queue, str(problem)):
            log.warning("consumer.start_failed", queue=self.queue, error=str(problem))

    async def _consume(self, channel: Channel) -> None:
        def on_message(_raw: Any, method: Any, properties: Any, body: bytes) -> None:
            message = amqp.Message(body, properties.headers or {}, properties.content_type, properties.message_id)
            self.take(Taken(channel, method.delivery_tag, message, method.redelivered))

        self._channel = channel
        self.session += 1

        def on_cancel(_frame: Any) -> None:
            # The broker cancels a consumer when its queue is deleted; then everything is set up again.
            channel.shut()
            self.lost()

        channel.raw.add_on_cancel_callback(on_cancel)
        await self.prepare(channel)
        await self.delays.rebind(channel, self.queue)
        await channel.call(channel.raw.basic_qos, prefetch_count=self.parallelism + _AHEAD)
        self.begin(channel)
        await channel.call(channel.raw.basic_consume, queue=self.queue, on_message_callback=on_message)
        log.info("consumer.started", queue=self.queue, parallelism=self.parallelism)

    # Settlement

    async def decide(self, taken: Taken, *, attempt: int) -> DeliveryOutcome:
        """Return the handler's outcome, with dead letters published; REQUEUE if one of the two failed."""
        try:
            try:
                event = amqp.read(taken.message)
            except EventError as problem:
                log.error("message.read_failed", queue=self.queue, error=str(problem))
                await self.add_dead_letter(
                    mark(taken.message, DeathCause(agent_of_queue(self.queue), str(problem), self.now()))
                )
                return DeliveryOutcome(Settlement.ACK)
            delivery = BrokerDelivery(
                event,
                self.queue,
                attempt,
                taken.redelivered,
                bool(taken.message.headers.get(REDRIVE)),
                self.session,
            )
            outcome = await self._handle(delivery)
            if outcome.verdict is Settlement.DEAD_LETTER and outcome.cause is not None:
                await self.add_dead_letter(mark(taken.message, outcome.cause))
        except (LambdaAgentError, TimeoutError) as problem:
            log.warning("dead_letter.add_failed", queue=self.queue, error=str(problem))
            return REQUEUE
        return outcome

    async def _handle(self, delivery: BrokerDelivery) -> DeliveryOutcome:
        try:
            return await self.handler(delivery)
        except LambdaAgentError as problem:
            log.warning("delivery.handle_failed", queue=self.queue, event_id=delivery.event.id, error=str(problem))
            return REQUEUE
        except Exception:
            log.exception("delivery.crashed", queue=self.queue, event_id=delivery.event.id)
            return REQUEUE

    async def settle(self, taken: Taken, outcome: DeliveryOutcome) -> None:
        """Acknowledge once the outcome is durable. Until then the delivery stays unacknowledged."""
        attempt = 1
        while outcome.settle is not None:
            try:
                await outcome.settle()
                break
            except LambdaAgentError as problem:
                log.warning("delivery.record_failed", queue=self.queue, error=str(problem))
                await asyncio.wait([taken.channel.closed], timeout=self.backoff.delay(attempt))
                if not taken.channel.is_open or self.stopping:
                    return
                attempt += 1
        taken.ack()


def buried(routed: bool, *, queue: str) -> None:
    """Raise BrokerUnavailableError if no queue took the dead letter."""
    if not routed:
        raise BrokerUnavailableError(f"the queue of dead letters {queue} does not exist; it is tried again")
