"""How often the head of an ordered queue was tried, and when it is due: kept on the broker beside the queue.

The message itself cannot carry it, since to publish it again would put it behind the others. The record names its
event, so an old one says nothing of another event; it is read only by who got a delivery that somebody had before.
"""

import json
from dataclasses import dataclass

from lambdaagent.broker.rabbitmq import queues, record
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
        """Safe when it returns. None: there is nothing to say of the head any more."""
        name = record_of(queue)
        fields = [head.source, head.id, head.attempts, head.due] if head is not None else []
        message = amqp.Message(json.dumps(fields).encode())
        if not await self.publisher.publish(message, exchange="", routing_key=name):
            channel = await self.link.channel()
            try:
                # A new one pushes the old one out.
                await queues.ensure(channel, name, max_length=1, overflow="drop-head")
            finally:
                await channel.close()
            await self.publisher.publish(message, exchange="", routing_key=name)

    async def read(self, queue: str) -> Head | None:
        channel = await self.link.channel()
        try:
            # Not acknowledged: it goes back when the channel closes.
            found = await record.get(channel, record_of(queue))
        except MissingError:
            return None
        finally:
            await channel.close()
        fields = json.loads(found[1]) if found is not None else []
        return Head(*fields) if fields else None
