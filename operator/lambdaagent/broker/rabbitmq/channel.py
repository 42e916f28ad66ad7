"""Pika's callbacks as coroutines: a channel whose calls end with a response, the channel's closing or a time-out.

Pika drops the callbacks of a channel that closes, so a caller would wait for ever; here every call also waits for the
closing. The reason of the closing decides the error: a contradiction is permanent, a lost connection is temporary.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from pika import exceptions

from lambdaagent.broker.errors import BrokerUnavailableError, TopologyBusyError, TopologyError
from lambdaagent.broker.rabbitmq import pika_private
from lambdaagent.errors import LambdaAgentError

CALL_TIMEOUT = 30.0
_NOT_FOUND, _REFUSED, _LOCKED, _PRECONDITION_FAILED = 404, 403, 405, 406


class MissingError(BrokerUnavailableError):
    """404: a queue or exchange does not exist; temporary, because another process may be about to make it."""


class Channel:
    """Wraps a pika channel; made without an await after it, so that its closing cannot be missed."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.closed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        raw.add_on_close_callback(self._on_closed)

    @property
    def is_open(self) -> bool:
        return bool(self.raw.is_open)

    async def call(self, method: Callable[..., Any], timeout: float = CALL_TIMEOUT, **arguments: Any) -> Any:
        """Return the method frame that answers `method(**arguments)`, a method of the raw channel."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(frame: Any) -> None:
            if not answer.done():
                answer.set_result(frame)

        what = getattr(method, "__name__", "call")
        try:
            method(callback=done, **arguments)
        except exceptions.AMQPError as problem:
            raise self.problem(what, problem) from problem
        await asyncio.wait([answer, self.closed], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        if self.closed.done():
            raise self.problem(what, self.closed.result())
        raise BrokerUnavailableError(f"RabbitMQ did not answer {what} within {timeout:g} s; it is tried again")

    def shut(self) -> None:
        """Close the channel so that unacknowledged deliveries are returned in order before another consumer gets more.

        Pika would cancel the consumers first, and RabbitMQ would let the next consumer begin after the deliveries held
        here.
        """
        if self.raw.is_open:
            pika_private.close_without_cancelling(self.raw)

    async def close(self) -> None:
        self.shut()
        await asyncio.wait([self.closed], timeout=CALL_TIMEOUT)

    def problem(self, what: str, cause: BaseException) -> LambdaAgentError:
        if isinstance(cause, exceptions.ChannelClosedByBroker):
            text = f"RabbitMQ refused {what}: {cause.reply_text}"
            if cause.reply_code == _LOCKED:
                return TopologyBusyError(text)
            if cause.reply_code == _NOT_FOUND:
                return MissingError(text)
            if cause.reply_code in (_REFUSED, _PRECONDITION_FAILED):
                return TopologyError(f"{text}. Remove what contradicts it, or grant this right to RabbitMQ's user.")
        return BrokerUnavailableError(
            f"the connection to RabbitMQ was lost during {what}: {cause!r}; it is tried again"
        )

    def _on_closed(self, _: Any, reason: BaseException) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
