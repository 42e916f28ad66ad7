"""Returns waiting events to a queue that was deleted and made again.

An event that becomes due while its queue does not exist goes to the queue of orphans (`delays.ORPHANS`). Once the queue
exists again, the event returns to it with its attempts. Events of agents that were removed stay among the orphans,
which are bounded.

Hazard: if the connection breaks between the confirmation and the acknowledgement, an event returns twice; the
deduplication of deliveries covers that.
"""

from collections.abc import Collection
from dataclasses import replace

from lambdaagent.broker.rabbitmq.channel import MissingError
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.delays import ORPHANS, own_headers
from lambdaagent.broker.rabbitmq.message_walk import MessageWalk


async def bring_back(link: RabbitMQConnection, queues: Collection[str]) -> int:
    """The number of events that returned to these queues. Raises LambdaAgentError."""
    confirmed = await ConfirmChannel.open(link)
    channel, returned = confirmed.channel, 0
    try:
        try:
            declared = await channel.call(channel.raw.queue_declare, queue=ORPHANS, passive=True)
        except MissingError:
            return 0
        walk = MessageWalk(channel, ORPHANS)
        for _ in range(declared.method.message_count):
            taken = await walk.next()
            if taken is None:
                break
            message = replace(taken.message, headers=own_headers(taken.message))
            if taken.routing_key in queues and await confirmed.publish(
                message, exchange="", routing_key=taken.routing_key
            ):
                channel.raw.basic_ack(taken.tag)
                returned += 1
            else:
                walk.keep(taken)
    finally:
        await channel.close()
    return returned
