"""Reads the dead letters of a namespace in their queue, which AMQP can read only by taking the messages.

Every message is taken unacknowledged over one channel. Letters that are done with are acknowledged, and the closing of
the channel returns the others in their order, also when the process is killed. So nothing is lost, but what was
redriven just before a connection broke may be redriven again. Meanwhile other readers find the queue empty or shorter.
At most as many letters are visited as were there at the beginning, because a redriven event that fails at once returns
to the end of the queue.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pika import BasicProperties

from lambdaagent.api import naming
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.rabbitmq.channel import CALL_TIMEOUT, Channel, MissingError
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.dead_letter_headers import DeathCause

_IDLE_SECONDS = 5.0
"""Seconds without a letter after which the walk ends: letters that other readers hold do not arrive."""


@dataclass(frozen=True, slots=True)
class Letter:
    id: str  # derived from the contents, so that it is always the same
    namespace: str
    message: amqp.Message  # the message before it was dead-lettered
    cause: DeathCause


class DeadLetterBrowser:
    """The queue of dead letters during a `walk`."""

    def __init__(self, confirmed: ConfirmChannel) -> None:
        self._confirmed = confirmed

    async def redrive(self, letter: Letter) -> str:
        """Put the letter into its agent's queue again; return why it failed, or "". The letter stays here too."""
        namespace, _, name = letter.cause.agent.partition("/")
        if not name:
            return "it does not say which agent it was for"
        again = replace(letter.message, headers={**letter.message.headers, dead_letter_headers.REDRIVE: True})
        async with asyncio.timeout(CALL_TIMEOUT):
            routed = await self._confirmed.publish(again, exchange="", routing_key=naming.queue(namespace, name))
        return "" if routed else f"agent {letter.cause.agent} has no queue: is it there, and does a dispatcher run?"


Visit = Callable[[Letter, DeadLetterBrowser], Awaitable[bool]]
"""Returns whether the letter is done with and can be removed."""


async def walk(link: RabbitMQConnection, namespace: str, visit: Visit, *, within: float = 15.0) -> None:
    """Visit the letters, oldest first. Raises LambdaAgentError.

    After an error, letters that were done with may still be in the queue.
    """
    try:
        async with asyncio.timeout(within):
            confirmed = await ConfirmChannel.open(link)
    except TimeoutError:
        raise BrokerUnavailableError(
            f"RabbitMQ was not reached within {within:g} s: check LAMBDAAGENT_AMQP_URL and that it runs"
        ) from None
    channel, queue = confirmed.channel, naming.dead_letters(namespace)
    try:
        try:
            declared = await channel.call(channel.raw.queue_declare, queue=queue, passive=True)
        except MissingError:
            return  # there never was a dead letter here
        taking = _Taking(channel, queue)
        for _ in range(declared.method.message_count):
            taken = await taking.next()
            if taken is None:
                break
            done = await visit(_letter(namespace, taken.message), DeadLetterBrowser(confirmed))
            if not channel.is_open:
                await asyncio.wait([channel.closed], timeout=CALL_TIMEOUT)
                raise channel.problem("reading the dead letters", channel.closed.result())
            if done:
                channel.raw.basic_ack(taken.tag)
            else:
                taking.keep(taken)
    finally:
        await channel.close()


@dataclass(frozen=True, slots=True)
class _Taken:
    consumer: int
    tag: int
    message: amqp.Message


class _Taking:
    """Takes messages through consumers, because to get them one by one takes ten times as long on a quorum queue.

    A window bounds the messages in memory. A letter that is kept occupies its place in the window, so when kept letters
    fill the window of a consumer, another consumer is started on the same channel.
    """

    def __init__(self, channel: Channel, queue: str, *, window: int = 200) -> None:
        self._channel = channel
        self._queue = queue
        self._window = window
        self._arrived: asyncio.Queue[_Taken] = asyncio.Queue()
        self._consumers = 0
        self._kept = window  # letters kept by the present consumer; initially there is none

    def keep(self, taken: _Taken) -> None:
        self._kept += taken.consumer == self._consumers

    async def next(self) -> _Taken | None:
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
            raise self._channel.problem("reading the dead letters", self._channel.closed.result())
        return None

    async def _consume(self) -> None:
        self._consumers += 1
        self._kept, number, raw = 0, self._consumers, self._channel.raw

        def arrived(_raw: Any, method: Any, properties: BasicProperties, body: bytes) -> None:
            headers = properties.headers or {}
            message = amqp.Message(body, headers, properties.content_type, properties.message_id)
            self._arrived.put_nowait(_Taken(number, method.delivery_tag, message))

        await self._channel.call(raw.basic_qos, prefetch_count=self._window)
        # A channel returns its messages in the order of its consumers' tags.
        tag = f"dead-letters-{number:04}"
        await self._channel.call(raw.basic_consume, queue=self._queue, on_message_callback=arrived, consumer_tag=tag)


def _letter(namespace: str, message: amqp.Message) -> Letter:
    cause, bare = dead_letter_headers.cause_of(message), dead_letter_headers.bare(message)
    whole = (cause.agent, cause.at, bare.content_type, bare.message_id, sorted(bare.headers.items()), bare.body)
    return Letter(hashlib.sha256(repr(whole).encode("utf-8", "replace")).hexdigest()[:10], namespace, bare, cause)
