"""Takes the messages of a queue one after the other, unacknowledged, over one channel.

The closing of the channel returns those that were not acknowledged in their order, also when the process is killed.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties

from lambdaagent.broker.rabbitmq.channel import CALL_TIMEOUT, Channel, MissingError
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp

_IDLE_SECONDS = 5.0
"""Seconds without a message after which the walk ends: messages that other readers hold do not arrive."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    consumer: int
    tag: int
    routing_key: str
    message: amqp.Message


Visit = Callable[[QueuedMessage], Awaitable[bool]]
"""Returns whether the message is done with and can be removed."""


class MessageWalk:
    """Takes messages through consumers, because to get them one by one takes ten times as long on a quorum queue.

    A window bounds the messages in memory. A message that is kept occupies its place in the window, so when kept ones
    fill the window of a consumer, another consumer is started on the same channel.
    """

    def __init__(self, channel: Channel, queue: str, what: str = "reading a queue", *, window: int = 200) -> None:
        """`what` names the work in errors."""
        self._channel = channel
        self._queue = queue
        self._what = what
        self._window = window
        self._arrived: asyncio.Queue[QueuedMessage] = asyncio.Queue()
        self._consumers = 0
        self._kept = window  # messages kept by the present consumer; initially there is none

    async def length(self) -> int:
        """Return the number of messages that no reader holds; 0 if there is no such queue. Raises LambdaAgentError."""
        try:
            declared = await self._channel.call(self._channel.raw.queue_declare, queue=self._queue, passive=True)
        except MissingError:
            return 0
        return int(declared.method.message_count)

    async def visit(self, most: int, visit: Visit, *, within: float = math.inf) -> bool:
        """Visit up to `most` messages and acknowledge those of which `visit` returns True.

        Return False if other readers held some of them, or if `within` seconds passed. Raises LambdaAgentError.
        """
        ends = time.monotonic() + within
        for _ in range(most):
            taken = await self.next() if time.monotonic() < ends else None
            if taken is None:
                return False
            done = await visit(taken)
            if not self._channel.is_open:
                await asyncio.wait([self._channel.closed], timeout=CALL_TIMEOUT)
                raise self._lost()
            if done:
                self._channel.raw.basic_ack(taken.tag)
            else:
                # It stays in its consumer's window.
                self._kept += taken.consumer == self._consumers
        return True

    async def next(self) -> QueuedMessage | None:
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
            raise self._lost()
        return None

    def _lost(self) -> LambdaAgentError:
        return self._channel.problem(self._what, self._channel.closed.result())

    async def _consume(self) -> None:
        self._consumers += 1
        self._kept, number, raw = 0, self._consumers, self._channel.raw

        def arrived(_raw: Any, method: Any, properties: BasicProperties, body: bytes) -> None:
            headers = properties.headers or {}
            message = amqp.Message(body, headers, properties.content_type, properties.message_id)
            self._arrived.put_nowait(QueuedMessage(number, method.delivery_tag, method.routing_key, message))

        await self._channel.call(raw.basic_qos, prefetch_count=self._window)
        # A channel returns its messages in the order of its consumers' tags.
        tag = f"walk-{number:04}"
        await self._channel.call(raw.basic_consume, queue=self._queue, on_message_callback=arrived, consumer_tag=tag)
