"""The attempts of an ordered queue's head and the time of its next one, kept on the broker beside the queue.

The message itself cannot carry them, because to publish it again would put it behind the others. The record names its
event, so an old record has no effect on another event; it is read only on a delivery that was delivered before.
"""

import json
from dataclasses import dataclass

from lambdaagent.broker.rabbitmq import queues, shared_value
from lambdaagent.broker.rabbitmq.channel import MissingError
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.publisher import Publisher
from lambdaagent.events import amqp
from lambdaagent.events.cloudevents import Event


@dataclass(frozen=True, slots=True)
class Head:
    source: str
    id: str
    attempts: int
    due: float  # seconds since the epoch

    def is_of(self, event: Event) -> bool:
        return (self.source, self.id) == (event.source, event.id)


def record_of(queue: str) -> str:
    return f"{queue}.head"


@dataclass
class OrderedHeads:
    link: RabbitMQConnection
    publisher: Publisher

    async def write(self, queue: str, head: Head | None) -> None:
        """Write the record, confirmed. None: clear it."""
        name = record_of(queue)
        fields = [head.source, head.id, head.attempts, head.due] if head is not None else []
        message = amqp.Message(json.dumps(fields).encode())
        if not await self.publisher.publish(message, exchange="", routing_key=name):
            channel = await self.link.channel()
            try:
                # The new message replaces the old one.
                await queues.ensure(channel, name, max_length=1, overflow="drop-head")
            finally:
                await channel.close()
            await self.publisher.publish(message, exchange="", routing_key=name)

    async def read(self, queue: str) -> Head | None:
        channel = await self.link.channel()
        try:
            # Not acknowledged: the message returns to the queue when the channel closes.
            found = await shared_value.get(channel, record_of(queue))
        except MissingError:
            return None
        finally:
            await channel.close()
        fields = json.loads(found[1]) if found is not None else []
        return Head(*fields) if fields else None
