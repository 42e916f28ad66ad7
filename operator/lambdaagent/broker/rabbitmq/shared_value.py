"""A value that several processes read and change, kept on the broker as the single message of a queue.

AMQP can neither list nor replace what exists, so a process that starts cannot see what an earlier one made; it must be
recorded when it is made. The old message is removed only after the new one is confirmed: for a moment there are two,
and a reader merges both. Hazard: only one process may change a record at a time (`QueueTopology` holds a lock for it).
"""

import asyncio
import json
from typing import Any

from pika import BasicProperties, spec

from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.events import amqp

_WRITE_SECONDS = 30.0


async def read(channel: Channel, name: str, *, wait: bool) -> tuple[list[int], list[Any]]:
    """Return the delivery tags of the messages, unacknowledged, and all their entries.

    With `wait`, a message is known to exist: one held by a process that was just killed returns a moment later.
    """
    tags: list[int] = []
    entries: list[Any] = []
    deadline = asyncio.get_running_loop().time() + (5.0 if wait else 0.0)
    while True:
        message = await get(channel, name)
        if message is not None:
            tag, body = message
            tags.append(tag)
            entries += json.loads(body)
        elif tags or asyncio.get_running_loop().time() >= deadline:
            return tags, entries
        else:
            await asyncio.sleep(0.05)


async def write(confirmed: ConfirmChannel, name: str, entries: list[Any], *, replaces: list[int]) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await confirmed.publish(amqp.Message(json.dumps(entries).encode()), exchange="", routing_key=name)
    for tag in replaces:
        confirmed.channel.raw.basic_ack(tag)


async def get(channel: Channel, queue: str) -> tuple[int, bytes] | None:
    """Get one message, unacknowledged; None: empty, which pika reports through another callback."""

    def ask(*, callback: Any) -> None:
        def got(_channel: Any, method: Any, _properties: BasicProperties, body: bytes) -> None:
            callback((method.delivery_tag, body))

        channel.raw.add_callback(lambda _frame: callback(None), [spec.Basic.GetEmpty], True)
        channel.raw.basic_get(queue, got)

    answer: tuple[int, bytes] | None = await channel.call(ask)
    return answer
