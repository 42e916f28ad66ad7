"""A channel in confirm mode: every message gets exactly one confirm, correlated by its delivery tag.

RabbitMQ confirms in any order and several at once; an unroutable message is returned before it is confirmed. Returned
messages are recognized by the property `correlation_id`, which has no other use here: headers are the wire contract
with Knative, and the message id is not unique, because an event may be published twice.
"""

import asyncio
from collections import OrderedDict
from typing import Any

from pika import BasicProperties, exceptions, spec

from lambdaagent.broker.errors import BrokerUnavailableError, EventTooLargeError, NotConfirmedError
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.events import amqp
from lambdaagent.events.dead_letter_headers import REASON

# A header frame must fit into one frame of 128 kB; otherwise the whole connection is closed.
_HEADERS_LIMIT = 80_000
_LETTER_LIMIT = 120_000  # a message within the first limit must fit together with the cause of its dead-lettering
# AMQP reports neither the queue nor the reason; these two causes exist.
_REFUSED = (
    "RabbitMQ refused the event (nack): a queue for it has reached the max-length or max-length-bytes of a policy "
    "(see rabbitmqctl list_policies), or has lost its nodes; publish it again"
)
_BODY_LIMIT = 16 * 2**20  # RabbitMQ 4's default; beyond it the channel is closed


class ConfirmChannel:
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._pending: OrderedDict[int, asyncio.Future[bool]] = OrderedDict()
        self._returned: set[int] = set()
        self._tag = 0

    @classmethod
    async def open(cls, link: RabbitMQConnection) -> "ConfirmChannel":
        found = cls(await link.channel())
        found.channel.raw.add_on_return_callback(found._on_return)
        found.channel.closed.add_done_callback(found._on_closed)
        try:
            await found.channel.call(found._select)
        except BaseException:
            await found.channel.close()
            raise
        return found

    def publish(self, message: amqp.Message, *, exchange: str, routing_key: str = "") -> asyncio.Future[bool]:
        """Return a future: True once a queue has the message, False if none took it, TemporaryError if unconfirmed."""
        _check_size(message)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        properties = BasicProperties(
            content_type=message.content_type,
            message_id=message.message_id,
            delivery_mode=amqp.PERSISTENT,
            correlation_id=str(self._tag + 1),
            headers=dict(message.headers),
        )
        try:
            self.channel.raw.basic_publish(exchange, routing_key, message.body, properties, mandatory=True)
        except exceptions.AMQPError as problem:
            raise BrokerUnavailableError(f"the connection to RabbitMQ is lost: {problem!r}") from problem
        self._tag += 1
        self._pending[self._tag] = answer
        return answer

    async def drain(self, *, timeout: float) -> None:
        """Wait for the outstanding confirms."""
        if self._pending:
            await asyncio.wait(list(self._pending.values()), timeout=timeout)

    def _select(self, *, callback: Any) -> None:
        self.channel.raw.confirm_delivery(self._on_confirm, callback=callback)

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        self._returned.add(int(properties.correlation_id))

    def _on_confirm(self, frame: Any) -> None:
        confirm = frame.method
        good = isinstance(confirm, spec.Basic.Ack)
        tags = [confirm.delivery_tag]
        if confirm.multiple:
            tags = [tag for tag in self._pending if tag <= confirm.delivery_tag]
        for tag in tags:
            answer = self._pending.pop(tag, None)
            routed = tag not in self._returned
            self._returned.discard(tag)
            if answer is None or answer.done():
                continue
            if good:
                answer.set_result(routed)
            else:
                answer.set_exception(NotConfirmedError(_REFUSED))

    def _on_closed(self, closed: asyncio.Future[BaseException]) -> None:
        pending, self._pending = self._pending, OrderedDict()
        self._returned.clear()
        for answer in pending.values():
            if not answer.done():
                answer.set_exception(
                    BrokerUnavailableError(
                        f"the connection to RabbitMQ was lost before the confirm: {closed.result()!r}; publish it again"
                    )
                )
                # Marks the exception as retrieved: that no caller waits any more is not an error.
                answer.exception()


def _check_size(message: amqp.Message) -> None:
    headers = sum(len(name) + len(str(value).encode()) + 8 for name, value in message.headers.items())
    limit = _LETTER_LIMIT if REASON in message.headers else _HEADERS_LIMIT
    if headers > limit:
        raise EventTooLargeError(f"the event's attributes have {headers} bytes; the maximum is {limit}")
    if len(message.body) > _BODY_LIMIT:
        raise EventTooLargeError(
            f"the event's data has {len(message.body)} bytes; the maximum is {_BODY_LIMIT}: store it elsewhere and "
            "send a reference"
        )
