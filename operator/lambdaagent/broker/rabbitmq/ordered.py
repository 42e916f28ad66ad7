"""Delivers one after the other: none overtakes a delivery that waits for its next attempt, even if a process is killed.

Several deliveries are prefetched, but each is begun only after the previous one was decided; `settle` of the previous
one may still run. While the head waits, the channel is closed: that returns everything in order at once (single
acknowledgements could not), keeps nothing unacknowledged for longer than RabbitMQ allows, and frees the queue for
another process, which reads the same record and waits as well. Stopping works the same way: the channel closes after
the running delivery has ended, so that no other process begins the next one before.
"""

import asyncio
from dataclasses import dataclass, field

from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.protocol import DeliveryOutcome, Settlement
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.broker.rabbitmq.consumer import LONGEST, Consumer, Taken
from lambdaagent.broker.rabbitmq.ordered_head import Head
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp
from lambdaagent.events.errors import EventError


@dataclass(eq=False)
class OrderedConsumer(Consumer):
    # Bounded by the prefetch.
    _arrived: "asyncio.Queue[Taken | None]" = field(default_factory=asyncio.Queue, init=False)
    _settling: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _head: Head | None = field(default=None, init=False)

    def begin(self, channel: Channel) -> None:
        arrived: asyncio.Queue[Taken | None] = asyncio.Queue()
        self._arrived = arrived
        channel.closed.add_done_callback(lambda _: arrived.put_nowait(None))
        self.spawn(self._work(channel, arrived))

    def take(self, taken: Taken) -> None:
        self._arrived.put_nowait(taken)

    def halt(self) -> None:
        self._arrived.put_nowait(None)

    async def _work(self, channel: Channel, arrived: "asyncio.Queue[Taken | None]") -> None:
        first = True
        while channel.is_open and not self.stopping and (taken := await arrived.get()) is not None:
            try:
                if first and taken.redelivered:
                    self._head = await self.heads.read(self.queue)
                elif first:
                    self._head = None
                first = False
                outcome = await self._one(taken)
            except LambdaAgentError:
                outcome = DeliveryOutcome(Settlement.REQUEUE)
            if outcome.verdict in (Settlement.ACK, Settlement.DEAD_LETTER):
                self._settle(taken, outcome)
                continue
            if self._settling:
                await asyncio.wait(self._settling)
            wait = outcome.after if outcome.verdict is Settlement.RETRY else self.backoff.delay(2)
            self.pause_until = max(self.pause_until, self.now() + wait)
            channel.shut()
        if self._settling:
            await asyncio.wait(self._settling)

    async def _one(self, taken: Taken) -> DeliveryOutcome:
        """Decide one delivery. With RETRY, the attempt and its time are durable on return."""
        head = self._head if self._head is not None and _is_of(self._head, taken.message) else None
        if head is not None and 0 < (left := head.due - self.now()) < LONGEST:
            return DeliveryOutcome(Settlement.RETRY, after=left)
        attempts = head.attempts if head is not None else 0
        outcome = await self.decide(taken, attempt=attempts + 1)
        if outcome.verdict is Settlement.RETRY:
            event = amqp.read(taken.message)
            self._head = Head(event.source, event.id, attempts + 1, self.now() + outcome.after)
            await self.heads.write(self.queue, self._head)
        elif head is not None and outcome.verdict is not Settlement.REQUEUE:
            await self._forget(head)
        return outcome

    async def _forget(self, head: Head) -> None:
        """Clear the record of the head: if the same event comes again later, it has all its attempts."""
        self._head = None
        try:
            await self.heads.write(self.queue, None)
        except BrokerUnavailableError:
            self._head = head  # its delivery continues all the same

    def _settle(self, taken: Taken, outcome: DeliveryOutcome) -> None:
        if outcome.settle is None:
            taken.ack()
            return
        task = self.spawn(self.settle(taken, outcome))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)


def _is_of(head: Head, message: amqp.Message) -> bool:
    try:
        return head.is_of(amqp.read(message))
    except EventError:
        return False
