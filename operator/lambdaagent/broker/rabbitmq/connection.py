"""One connection to RabbitMQ that is made again whenever it breaks. Pika itself does not reconnect.

Everything on a broken connection is lost: a user of a channel opens a new one and sets it up again. Heartbeats detect a
peer that vanished silently. RabbitMQ may also stop reading from this client (`blocked`), which is not an error of the
connection but must be visible to callers that wait for a confirm.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import structlog
from pika import SSLOptions, URLParameters, exceptions
from pika.adapters.asyncio_connection import AsyncioConnection

from lambdaagent.backoff import Backoff
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.rabbitmq import pika_private, properties, sessions
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.cancellation import cancel
from lambdaagent.errors import LambdaAgentError, UsageError
from lambdaagent.service_urls import checked
from lambdaagent.trust import SYSTEM, Trust, explain

log = structlog.get_logger(__name__)

_OPEN_TIMEOUT = 20.0
_ACCESS_REFUSED, _NOT_ALLOWED = 403, 530
_LOGIN_REFUSED = (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError)
_CLOSE_TIMEOUT = 5.0
_NEXT_STEP = "free memory or disk space on the nodes of RabbitMQ; publishers wait until then"


class RabbitMQConnection:
    def __init__(
        self, *, url: str, name: str, heartbeat: int = 20, backoff: Backoff | None = None, trust: Trust = SYSTEM
    ) -> None:
        """Raises UsageError if `url` is not a URL of RabbitMQ; the message omits it, because it holds a password."""
        self._parameters = _parameters(url, trust)
        self._parameters.heartbeat = heartbeat
        self._parameters.stack_timeout = self._parameters.socket_timeout = _OPEN_TIMEOUT / 2
        self._parameters.client_properties = {"connection_name": name}
        self._name = name
        self._backoff = backoff or Backoff(first=0.2, cap=15.0)
        self._raw: Any = None
        self.problem = ""
        """Why there is no connection; empty while there is one."""
        self._up = asyncio.Event()
        self.unblocked = asyncio.Event()
        self.unblocked.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    def start(self) -> None:
        # Pika logs every failed attempt as six errors; this class logs one line.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        properties.take_over()
        self._task = asyncio.create_task(
            sessions.repeat(self._connected, backoff=self._backoff, failed=self._failed), name=f"amqp {self._name}"
        )

    async def stop(self) -> None:
        if self._task is not None:
            await cancel(self._task)
            self._task = None

    async def channel(self) -> Channel:
        """Open a channel once there is a connection. Raises BrokerUnavailableError if that breaks meanwhile."""
        await self._up.wait()
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(raw: Any) -> None:
            if not opened.done():
                opened.set_result(raw)

        try:
            raw = self._raw.channel(on_open_callback=done)
        except exceptions.AMQPError as problem:
            raise BrokerUnavailableError(f"no channel to RabbitMQ: {problem!r}; it is tried again") from problem
        found = Channel(raw)
        await asyncio.wait([opened, found.closed], timeout=_OPEN_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            raise BrokerUnavailableError("RabbitMQ opened no channel; it is tried again")
        return found

    async def _connected(self, works: Callable[[], None]) -> None:
        """Connect, and return when the connection is lost. Raises BrokerUnavailableError."""
        lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        try:
            self._raw = await self._open(lost)
            works()
            self.problem = ""
            log.info("rabbitmq.connected", connection=self._name)
            self._up.set()
            # The future is not awaited directly: a cancellation would cancel it, and `_close` needs it.
            await asyncio.wait([lost])
            self.problem = "the connection to RabbitMQ was lost"
            log.warning("rabbitmq.disconnected", connection=self._name, error=repr(lost.result()))
        finally:
            self._up.clear()
            self.unblocked.set()
            await _close(self._raw, lost)
            self._raw = None

    def _failed(self, problem: LambdaAgentError) -> None:
        self.problem = str(problem)
        log.warning("rabbitmq.connect_failed", connection=self._name, error=str(problem))

    async def _open(self, lost: asyncio.Future[BaseException]) -> Any:
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_open(raw: Any) -> None:
            if not opened.done():
                opened.set_result(raw)

        def on_closed(_: Any, reason: BaseException) -> None:
            # Called both for a connection that could not be opened and for one that broke.
            if not opened.done():
                opened.set_exception(BrokerUnavailableError(self._why(reason)))
            if not lost.done():
                lost.set_result(reason)

        raw: Any = AsyncioConnection(
            self._parameters, on_open_callback=on_open, on_open_error_callback=on_closed, on_close_callback=on_closed
        )
        self._raw = raw
        raw.add_on_connection_blocked_callback(lambda *_: self._block())
        raw.add_on_connection_unblocked_callback(lambda *_: self.unblocked.set())
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT):
                return await opened
        except TimeoutError:
            raise BrokerUnavailableError("RabbitMQ did not accept a connection in time") from None

    def _why(self, reason: BaseException) -> str:
        user, vhost = self._parameters.credentials.username, self._parameters.virtual_host
        for each in _causes(reason):
            if isinstance(each, ssl.SSLCertVerificationError):
                return f"cannot connect to RabbitMQ: {explain(each)}"
            code = each.reply_code if isinstance(each, exceptions.ConnectionClosedByBroker) else None
            if code == _ACCESS_REFUSED or isinstance(each, _LOGIN_REFUSED):
                return f"RabbitMQ refused the login of user {user!r}; correct name and password in LAMBDAAGENT_AMQP_URL"
            if code == _NOT_ALLOWED or isinstance(each, exceptions.ProbableAccessDeniedError):
                return f"RabbitMQ refused user {user!r} the virtual host {vhost!r}: create it, or grant rights on it"
        return f"cannot connect to RabbitMQ: {_cause(reason)}"

    def _block(self) -> None:
        log.warning("rabbitmq.blocked", connection=self._name, next_step=_NEXT_STEP)
        self.unblocked.clear()


@dataclass
class RenewingChannel:
    """A channel for calls that RabbitMQ may refuse, which closes the channel: the next call then gets a new one."""

    link: RabbitMQConnection
    _channel: Channel | None = None

    async def __aenter__(self) -> "RenewingChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def channel(self) -> Channel:
        if self._channel is None or not self._channel.is_open:
            self._channel = await self.link.channel()
        return self._channel


async def _close(raw: Any, lost: asyncio.Future[BaseException]) -> None:
    """Close and wait until the socket is closed; terminate it if the broker does not answer."""
    if raw is None or lost.done():
        return
    if not (raw.is_closing or raw.is_closed):
        with contextlib.suppress(exceptions.AMQPError):
            raw.close()
    await asyncio.wait([lost], timeout=_CLOSE_TIMEOUT)
    if not lost.done():
        pika_private.terminate(raw, "RabbitMQ does not answer")
        await asyncio.wait([lost], timeout=_CLOSE_TIMEOUT)


def _parameters(url: str, trust: Trust) -> URLParameters:
    example = "amqp://user:password@host:5672/%2F"
    parts = checked(url, variable="LAMBDAAGENT_AMQP_URL", schemes=("amqp", "amqps"), example=example)
    try:
        parameters = URLParameters(url)
    except (ValueError, TypeError, AttributeError, SyntaxError, OSError) as problem:
        cause = type(problem).__name__
        raise UsageError(f"LAMBDAAGENT_AMQP_URL has an option that pika does not accept ({cause})") from None
    if parts.scheme == "amqps" and "ssl_options" not in parse_qs(parts.query):
        parameters.ssl_options = SSLOptions(trust.context())
    return parameters


def _causes(reason: BaseException) -> Iterator[BaseException]:
    """Yield the exception and those that pika nested in it, outermost first."""
    yield reason
    for inner in (getattr(reason, "exceptions", None) or [])[-1:]:
        yield from _causes(inner)
    inner = getattr(reason, "exception", None)
    if isinstance(inner, BaseException):
        yield from _causes(inner)


def _cause(reason: BaseException) -> str:
    """Return the text of the innermost exception: the outer ones only state that something failed."""
    *_, last = _causes(reason)
    return str(last) or repr(last)
