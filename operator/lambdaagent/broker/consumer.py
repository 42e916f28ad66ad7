"""Takes deliveries from one queue and settles each of them explicitly, after its handler said how.

A delivery belongs to the channel that it came on: when that breaks, the broker delivers it again, and whatever the
handler then says goes nowhere. The prefetch bounds how many handlers run. A requeued delivery keeps its place in it
while it waits, so a failing handler slows its queue down instead of spinning.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.channel import Channel
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.link import Link
from lambdaagent.broker.protocol import REQUEUE, Delivery, Handler, Outcome, Verdict
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp
from lambdaagent.events.errors import EventError

log = structlog.get_logger(__name__)

COUNT_HEADER = "x-delivery-count"
ERROR_HEADER = "x-lambdaagent-error"
Bury = Callable[[amqp.Message], Awaitable[None]]
"""Puts a message among the dead letters; returns when it is safe there, else raises a TemporaryError."""


@dataclass(eq=False)
class Consumer:
    link: Link
    queue: str
    prefetch: int
    handler: Handler
    bury: Bury
    prepare: Callable[[Channel], Awaitable[None]]
    """Awaited on every new channel; makes what `bury` needs."""
    drain_timeout: float = 30.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=15.0))
    _running: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _channel: Channel | None = field(default=None, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _stopping: bool = field(default=False, init=False)

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"amqp consumer {self.queue}")

    async def stop(self) -> None:
        """No new deliveries; running handlers may finish for a while; the rest is delivered again."""
        self._stopping = True
        if (channel := self._channel) is not None and channel.is_open:
            for tag in channel.raw.consumer_tags:
                channel.raw.basic_cancel(tag)
        if self._running:
            await asyncio.wait(self._running, timeout=self.drain_timeout)
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _keep(self) -> None:
        attempt = 1
        while True:
            try:
                channel = await self.link.channel()
                try:
                    await self._consume(channel)
                    attempt = 1
                    await asyncio.wait([channel.closed])
                    if not self._stopping:
                        log.warning("consuming was interrupted", queue=self.queue, reason=repr(channel.closed.result()))
                finally:
                    self._channel = None
                    await channel.close()
            except LambdaAgentError as problem:
                log.warning("cannot consume", queue=self.queue, problem=str(problem))
            await asyncio.sleep(self.backoff.delay(attempt))
            attempt += 1

    def reset(self) -> None:
        """Consumes on a new channel; what is unsettled is delivered again."""
        if (channel := self._channel) is not None and channel.is_open:
            channel.raw.close()

    async def _consume(self, channel: Channel) -> None:
        def on_message(_raw: Any, method: Any, properties: Any, body: bytes) -> None:
            if self._stopping:  # it came while the cancellation was on its way
                channel.raw.basic_nack(method.delivery_tag)
                return
            message = amqp.Message(body, properties.headers or {}, properties.content_type, properties.message_id)
            work = self._deliver(channel, method.delivery_tag, message, redelivered=method.redelivered)
            task = asyncio.create_task(work, name=f"deliver {self.queue}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        self._channel = channel
        # The broker ends a consumer when its queue goes; then everything is set up again.
        channel.raw.add_on_cancel_callback(lambda _frame: channel.raw.is_open and channel.raw.close())
        await self.prepare(channel)
        await channel.call(channel.raw.basic_qos, prefetch_count=self.prefetch)
        await channel.call(channel.raw.basic_consume, queue=self.queue, on_message_callback=on_message)
        log.info("consuming", queue=self.queue, prefetch=self.prefetch)

    async def _deliver(self, channel: Channel, tag: int, message: amqp.Message, *, redelivered: bool) -> None:
        attempt = int(message.headers.get(COUNT_HEADER, 1 if redelivered else 0)) + 1
        try:
            try:
                event = amqp.read(message)
            except EventError as problem:
                log.error("a message is no event", queue=self.queue, problem=str(problem))
                await self.bury(_marked(message, str(problem)))
                outcome = None
            else:
                outcome = await self._handle(Delivery(event, self.queue, attempt))
                if outcome.verdict is Verdict.DEAD_LETTER:
                    extended = replace(event, extensions={**event.extensions, **outcome.extensions})
                    await self.bury(amqp.write(extended))
        except (LambdaAgentError, TimeoutError) as problem:
            log.warning("cannot dead-letter, delivering again", queue=self.queue, problem=str(problem))
            outcome = REQUEUE
        if outcome is not None and outcome.verdict is Verdict.REQUEUE:
            await self._wait(channel, self.backoff.delay(attempt + 1))
            if channel.is_open:
                channel.raw.basic_nack(tag, requeue=True)
        elif channel.is_open:
            channel.raw.basic_ack(tag)

    async def _handle(self, delivery: Delivery) -> Outcome:
        try:
            return await self.handler(delivery)
        except Exception:
            log.exception("a handler failed, delivering again", queue=self.queue, event_id=delivery.event.id)
            return REQUEUE

    async def _wait(self, channel: Channel, seconds: float) -> None:
        await asyncio.wait([channel.closed], timeout=0 if self._stopping else seconds)


def _marked(message: amqp.Message, problem: str) -> amqp.Message:
    return replace(message, headers={**message.headers, ERROR_HEADER: problem[:1000]})


def buried(routed: bool, *, queue: str) -> None:
    """A dead letter that no queue took is not safe."""
    if not routed:
        raise BrokerUnavailableError(f"the queue of dead letters {queue} is not there; it is tried again")
