"""Publishes with confirms on one channel, with many messages in flight.

The window bounds the messages in flight. A place in it is released only when the broker has answered or the connection
is lost, not when a caller gives up: a broker that has stopped reading must not be sent messages without limit. An
exchange is declared before its first message on a connection, because a publish to a missing exchange closes the
channel, and all messages in flight on it fail.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.broker.errors import BlockedError, BrokerUnavailableError, NotConfirmedError
from lambdaagent.broker.rabbitmq import sessions
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events import amqp

log = structlog.get_logger(__name__)


class Publisher:
    def __init__(
        self,
        link: RabbitMQConnection,
        *,
        restore: Callable[[], Awaitable[None]],
        window: int = 256,
        timeout: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        """`restore` is awaited on every new connection before the first publish on it."""
        self._link = link
        self._restore = restore
        self._window = asyncio.Semaphore(window)
        self._timeout = timeout
        self._backoff = backoff or Backoff(first=0.2, cap=15.0)
        self._channel: ConfirmChannel | None = None
        self._up = asyncio.Event()
        self._known: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        return self._up.is_set() and self._link.unblocked.is_set()

    async def wait_ready(self) -> None:
        while not self.ready:
            await self._up.wait()
            await self._link.unblocked.wait()

    def start(self) -> None:
        self._task = asyncio.create_task(
            sessions.repeat(self._opened, backoff=self._backoff, failed=self._failed), name="amqp publisher"
        )

    async def stop(self) -> None:
        """Wait for outstanding confirms, at most for the time-out of one publish, then stop."""
        if self._task is None:
            return
        if self._channel is not None:
            await self._channel.drain(timeout=self._timeout)
        await cancel(self._task)
        self._task = None

    async def publish(self, message: amqp.Message, *, exchange: str, routing_key: str = "") -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                await self._window.acquire()
                try:
                    answer = await self._send(message, exchange=exchange, routing_key=routing_key)
                except BaseException:
                    self._window.release()
                    raise
                answer.add_done_callback(self._settled)
                return await asyncio.shield(answer)
        except TimeoutError:
            raise self._too_late() from None

    def forget(self, exchange: str) -> None:
        """Forget a removed exchange: the next message to it declares it again."""
        self._known.pop(exchange, None)

    async def _send(self, message: amqp.Message, *, exchange: str, routing_key: str) -> asyncio.Future[bool]:
        while True:
            await self._up.wait()
            await self._link.unblocked.wait()
            if exchange:
                await self._ensure(exchange)
            # There is no await after this point, so nothing can have closed in between.
            if self._channel is not None and self._channel.channel.is_open and self._link.unblocked.is_set():
                return self._channel.publish(message, exchange=exchange, routing_key=routing_key)
            await asyncio.sleep(0)

    async def _ensure(self, exchange: str) -> None:
        known = self._known.get(exchange)
        if known is not None and known.done() and not known.cancelled() and known.exception() is None:
            return
        if known is None:
            known = self._known[exchange] = asyncio.create_task(self._declare(exchange))
            # Its callers may have given up by the time it fails.
            known.add_done_callback(lambda task: task.cancelled() or task.exception())
        # The task is not awaited directly: its cancellation with the connection is not the caller's.
        await asyncio.wait([known])
        if known.cancelled() or known.exception() is not None:
            if self._known.get(exchange) is known:
                del self._known[exchange]
            if not known.cancelled():
                await known

    async def _declare(self, exchange: str) -> None:
        # On a separate channel, because a refusal closes it.
        channel = await self._link.channel()
        try:
            await channel.call(channel.raw.exchange_declare, exchange=exchange, exchange_type="headers", durable=True)
        finally:
            await channel.close()

    async def _opened(self, works: Callable[[], None]) -> None:
        """Publish on one channel, and return when it is closed."""
        opened = await ConfirmChannel.open(self._link)
        try:
            await self._restore()
            works()
            self._channel = opened
            self._up.set()
            await asyncio.wait([opened.channel.closed])
        finally:
            self._up.clear()
            self._channel = None
            await self._forget()
            await opened.channel.close()

    def _failed(self, problem: LambdaAgentError) -> None:
        log.warning("publisher.start_failed", error=str(problem))

    async def _forget(self) -> None:
        known, self._known = list(self._known.values()), {}
        await cancel(*known)

    def _settled(self, answer: asyncio.Future[bool]) -> None:
        self._window.release()
        if not answer.cancelled():
            answer.exception()  # marks it as retrieved: a waiting caller has it through `shield`

    def _too_late(self) -> LambdaAgentError:
        after = f"within {self._timeout:g} s; publish it again"
        if not self._link.unblocked.is_set():
            return BlockedError(f"RabbitMQ is short of memory or disk space and accepted no event {after}")
        if not self._up.is_set():
            return BrokerUnavailableError(f"there was no connection to RabbitMQ {after}")
        return NotConfirmedError(f"RabbitMQ did not confirm the event {after}")
