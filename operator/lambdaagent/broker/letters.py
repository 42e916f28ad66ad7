"""The dead letters of a namespace, looked through where they lie: in a queue, which AMQP cannot read without taking.

Every message is fetched unacknowledged over one channel; those that are done with are acknowledged, and the closing of
the channel gives the others back, in their order. A process that dies does the same. So nothing is lost, and what was
redriven just before a connection broke may be redriven again. Meanwhile others find the queue empty or shorter. At most
as many are fetched as lay there at the beginning: what is redriven and dies at once comes back behind them.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pika import BasicProperties, spec

from lambdaagent.api import naming
from lambdaagent.broker.channel import CALL_TIMEOUT, Channel, MissingError
from lambdaagent.broker.confirms import ConfirmChannel
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.link import Link
from lambdaagent.events import amqp, letters
from lambdaagent.events.letters import Cause


@dataclass(frozen=True, slots=True)
class Letter:
    id: str  # follows from what the letter is: the same whenever it is looked at
    namespace: str
    message: amqp.Message  # as it was before it died
    cause: Cause


class LetterBox:
    """Within `walk`."""

    def __init__(self, confirmed: ConfirmChannel) -> None:
        self._confirmed = confirmed

    async def redrive(self, letter: Letter) -> str:
        """Puts it into its agent's queue again; says why it could not, else nothing. The letter still lies here."""
        namespace, _, name = letter.cause.agent.partition("/")
        if not name:
            return "it does not say which agent it was for"
        again = replace(letter.message, headers={**letter.message.headers, letters.REDRIVE: True})
        async with asyncio.timeout(CALL_TIMEOUT):
            routed = await self._confirmed.publish(again, exchange="", routing_key=naming.queue(namespace, name))
        return "" if routed else f"agent {letter.cause.agent} has no queue: is it there, and does a dispatcher run?"


Visit = Callable[[Letter, LetterBox], Awaitable[bool]]
"""Whether the letter is done with and goes."""


async def walk(link: Link, namespace: str, visit: Visit, *, within: float = 15.0) -> None:
    """Visits the letters, oldest first. Raises LambdaAgentError; then those that were done with may lie there still."""
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
            return  # nothing ever died here
        fetching = _Fetching(channel, queue)
        for _ in range(declared.method.message_count):
            found = await fetching.next()
            if found is None:
                break
            tag, message = found
            if await visit(_letter(namespace, message), LetterBox(confirmed)):
                channel.raw.basic_ack(tag)
    finally:
        await channel.close()


class _Fetching:
    def __init__(self, channel: Channel, queue: str) -> None:
        self._channel = channel
        self._queue = queue
        self._empty: Callable[[], None] = lambda: None
        # Pika tells of an empty queue through another callback, which is one for all fetches of the channel.
        channel.raw.add_callback(lambda _frame: self._empty(), [spec.Basic.GetEmpty], False)

    async def next(self) -> tuple[int, amqp.Message] | None:
        def get(*, callback: Callable[[Any], None]) -> None:
            def got(_channel: Any, method: Any, properties: BasicProperties, body: bytes) -> None:
                headers = properties.headers or {}
                message = amqp.Message(body, headers, properties.content_type, properties.message_id)
                callback((method.delivery_tag, message))

            self._empty = lambda: callback(None)
            self._channel.raw.basic_get(self._queue, got)

        found: tuple[int, amqp.Message] | None = await self._channel.call(get)
        return found


def _letter(namespace: str, message: amqp.Message) -> Letter:
    cause, bare = letters.cause_of(message), letters.bare(message)
    whole = (cause.agent, cause.at, bare.content_type, bare.message_id, sorted(bare.headers.items()), bare.body)
    return Letter(hashlib.sha256(repr(whole).encode("utf-8", "replace")).hexdigest()[:10], namespace, bare, cause)
