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

from lambdaagent.api import naming
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.rabbitmq.channel import CALL_TIMEOUT
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.message_walk import MessageWalk, QueuedMessage
from lambdaagent.events import amqp, dead_letter_headers
from lambdaagent.events.dead_letter_headers import DeathCause


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
            return "it does not name the agent that it was for"
        again = replace(letter.message, headers={**letter.message.headers, dead_letter_headers.REDRIVE: True})
        async with asyncio.timeout(CALL_TIMEOUT):
            routed = await self._confirmed.publish(again, exchange="", routing_key=naming.queue(namespace, name))
        if routed:
            return ""
        return f"agent {letter.cause.agent} has no queue; check that the agent exists and that a dispatcher runs"


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
            f"RabbitMQ was not reached within {within:g} s; check LAMBDAAGENT_AMQP_URL and that RabbitMQ runs"
        ) from None
    browser = DeadLetterBrowser(confirmed)

    async def visit_letter(queued: QueuedMessage) -> bool:
        return await visit(_letter(namespace, queued.message), browser)

    messages = MessageWalk(confirmed.channel, naming.dead_letters(namespace), "reading the dead letters")
    try:
        await messages.visit(await messages.length(), visit_letter)
    finally:
        await confirmed.channel.close()


def _letter(namespace: str, message: amqp.Message) -> Letter:
    cause, bare = dead_letter_headers.cause_of(message), dead_letter_headers.bare(message)
    whole = (cause.agent, cause.at, bare.content_type, bare.message_id, sorted(bare.headers.items()), bare.body)
    return Letter(hashlib.sha256(repr(whole).encode("utf-8", "replace")).hexdigest()[:10], namespace, bare, cause)
