"""Deliveries that wait for their next attempt in queues of the broker, so that the wait survives this process.

There is one queue per step with one fixed time to live, for all agents together, so that its head always expires first.
An expired message goes by its routing key, which is the agent's queue, to the exchange `DUE` and back to that queue; a
wait is several steps, each time the largest that fits. Hazard: an expired message that no queue takes would stay at the
head and block those behind it, so `DUE` has an alternate exchange for the messages of deleted agents.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.rabbitmq import queues
from lambdaagent.broker.rabbitmq.channel import Channel, MissingError
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection, RenewingChannel
from lambdaagent.broker.rabbitmq.publisher import Publisher
from lambdaagent.events import amqp

ATTEMPT_HEADER = "x-lambdaagent-attempt"
DUE_HEADER = "x-lambdaagent-due"
"""The time of the next attempt, in milliseconds since the epoch."""
STEPS = (64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25)
DUE = "lambdaagent.due"
ORPHANS = "lambdaagent.orphans"
_ORPHANS_KEPT = 10_000
# RabbitMQ drops messages that seem to cycle, which it recognizes by headers that it wrote itself.
_BROKERS_OWN = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-acquired-count")


@dataclass
class Delays:
    link: RabbitMQConnection
    publisher: Publisher
    _made: bool = field(default=False, init=False)
    _bound: set[str] = field(default_factory=set, init=False)

    async def put(self, message: amqp.Message, *, queue: str, attempts: int, due: float, now: float) -> None:
        """Put the message into a delay queue, confirmed. It returns to `queue` by `due`, or earlier to be put again."""
        step = next((each for each in STEPS if each <= due - now), STEPS[-1])
        name = _name(step)
        await self._ensure(queue)
        headers = {**own_headers(message), ATTEMPT_HEADER: attempts, DUE_HEADER: round(due * 1000)}
        kept = await self.publisher.publish(replace(message, headers=headers), exchange=name, routing_key=queue)
        if not kept:
            self.forget()
            raise BrokerUnavailableError(f"the queue {name} does not exist; it is tried again")

    def forget(self) -> None:
        """Declare everything again at the next use: the broker may have lost it before this new connection."""
        self._made = False
        self._bound.clear()

    async def rebind(self, channel: Channel, queue: str) -> None:
        """Bind the queue again, so that waiting messages return to it even if it was deleted and made again."""
        if queue in self._bound:
            await queues.bind(channel, queue=queue, exchange=DUE, routing_key=queue)

    async def mend(self) -> None:
        """Make again what was deleted; without it the waiting messages would wait for ever."""
        if not self._made:
            return
        async with RenewingChannel(self.link) as renewed:
            await self._make(await renewed.channel())
            for queue in list(self._bound):
                try:
                    await self.rebind(await renewed.channel(), queue)
                except MissingError:
                    self._bound.discard(queue)

    async def _ensure(self, queue: str) -> None:
        """Make all steps at once: RabbitMQ 3.10 may lose a quorum queue made in the second before a kill."""
        if self._made and queue in self._bound:
            return
        channel = await self.link.channel()
        try:
            if not self._made:
                await self._make(channel)
            await queues.bind(channel, queue=queue, exchange=DUE, routing_key=queue)
        finally:
            await channel.close()
        self._made = True
        self._bound.add(queue)

    async def _make(self, channel: Channel) -> None:
        raw = channel.raw
        await channel.call(raw.exchange_declare, exchange=ORPHANS, exchange_type="fanout", durable=True)
        await queues.ensure(channel, ORPHANS, max_length=_ORPHANS_KEPT)
        await channel.call(raw.queue_bind, queue=ORPHANS, exchange=ORPHANS, routing_key="")
        other_way = {"alternate-exchange": ORPHANS}
        await channel.call(
            raw.exchange_declare, exchange=DUE, exchange_type="direct", durable=True, arguments=other_way
        )
        for step in STEPS:
            name = _name(step)
            await channel.call(raw.exchange_declare, exchange=name, exchange_type="headers", durable=True)
            lives = round(step * 1000)
            await queues.ensure(channel, name, message_ttl=lives, dead_letter_exchange=DUE, **queues.safely())
            await queues.bind(channel, queue=name, exchange=name)


def _name(step: float) -> str:
    return f"lambdaagent.delay.{round(step * 1000)}"


def own_headers(message: amqp.Message) -> dict[str, Any]:
    """Return the headers without those that RabbitMQ wrote."""
    return {name: value for name, value in message.headers.items() if not name.startswith(_BROKERS_OWN)}


def attempts(message: amqp.Message) -> int:
    """Return the number of attempts so far."""
    return _whole(message, ATTEMPT_HEADER)


def due(message: amqp.Message) -> float:
    """Return the time of the next attempt, seconds since the epoch; 0: at once."""
    return _whole(message, DUE_HEADER) / 1000


def _whole(message: amqp.Message, name: str) -> int:
    value = message.headers.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
