"""Takes the messages of a queue one after the other, unacknowledged, over one channel.

The closing of the channel returns those that were not acknowledged in their order, also when the process is killed.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties

from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.events import amqp

_IDLE_SECONDS = 5.0
"""Seconds without a message after which the walk ends: messages that other readers hold do not arrive."""


@dataclass(frozen=True, slots=True)
class Taken:
    consumer: int
    tag: int
    routing_key: str
    message: amqp.Message


class MessageWalk:
    """Takes messages through consumers, because to get them one by one takes ten times as long on a quorum queue.

    A window bounds the messages in memory. A message that is kept occupies its place in the window, so when kept ones
    fill the window of a consumer, another consumer is started on the same channel.
    """

    def __init__(self, channel: Channel, queue: str, *, window: int = 200) -> None:
        self._channel = channel
        self._queue = queue
        self._window = window
        self._arrived: asyncio.Queue[Taken] = asyncio.Queue()
        self._consumers = 0
        self._kept = window  # messages kept by the present consumer; initially there is none

    def keep(self, taken: Taken) -> None:
        self._kept += taken.consumer == self._consumers

    async def next(self) -> Taken | None:
        """Return the next message; None: other readers have taken the rest. Raises LambdaAgentError."""
        if self._arrived.empty() and self._kept >= self._window:
            await self._consume()
        if not self._arrived.empty():
            return self._arrived.get_nowait()
        arriving = asyncio.ensure_future(self._arrived.get())
        either: list[asyncio.Future[Any]] = [arriving, self._channel.closed]
        try:
            await asyncio.wait(either, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if arriving.done():
                return arriving.result()
        finally:
            arriving.cancel()
        if self._channel.closed.done():
            raise self._channel.problem(f"reading {self._queue}", self._channel.closed.result())
        return None

    async def _consume(self) -> None:
        self._consumers += 1
        self._kept, number, raw = 0, self._consumers, self._channel.raw

        def arrived(_raw: Any, method: Any, properties: BasicProperties, body: bytes) -> None:
            headers = properties.headers or {}
            message = amqp.Message(body, headers, properties.content_type, properties.message_id)
            self._arrived.put_nowait(Taken(number, method.delivery_tag, method.routing_key, message))

        await self._channel.call(raw.basic_qos, prefetch_count=self._window)
        # A channel returns its messages in the order of its consumers' tags.
        tag = f"walk-{number:04}"
        await self._channel.call(raw.basic_consume, queue=self._queue, on_message_callback=arrived, consumer_tag=tag)
