"""The connections to one target: bounded, kept open for reuse, and waited for only so long.

A bound protects the container (and the gateway's descriptors) from a burst; a bounded wait turns the rest of the burst
into an honest "busy" instead of a queue that outlives its callers. The most recently used connection goes first, so
that the others age and close.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lambdaagent.agents.connection import Connection
from lambdaagent.agents.errors import BusyError, ConnectError
from lambdaagent.agents.wire import Target


@dataclass(frozen=True, slots=True)
class Limits:
    connections: int = 256  # per target
    waiting: int = 1024  # callers per target
    wait: float = 5.0  # seconds for a free connection
    connect: float = 5.0
    keep_idle: float = 30.0  # below the minute after which common servers and proxies close
    header_bytes: int = 64 * 1024
    body_bytes: int = 10 * 1024 * 1024  # of an answer that is read whole


class Pool:
    def __init__(self, *, target: Target, limits: Limits, tls: Callable[[], ssl.SSLContext]) -> None:
        self.target = target
        self._limits = limits
        self._tls = tls
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._count = 0  # open, or being opened
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def unused(self) -> bool:
        return not self._count and not self._waiters

    def kept(self) -> Connection | None:
        """An idle connection, now the caller's own until `release`; None where there is none."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since + self._limits.keep_idle > connection.now():
                return connection
            self._drop(connection)
        return None

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection when one is free, the caller's own until `release`. `fresh`: not one that was used before."""
        loop = asyncio.get_running_loop()
        while self._count >= self._limits.connections:
            if fresh and self._idle:
                self._drop(self._idle.popleft())
                break
            await self._turn(loop)
            if not fresh and (kept := self.kept()) is not None:
                return kept
        return await self._connect(loop)

    def release(self, connection: Connection) -> None:
        if connection.reusable:
            connection.rest()
            self._idle.append(connection)
        else:
            self._drop(connection)
        self._next()

    def sweep(self, now: float) -> None:
        """Closes what has idled too long; called now and then by the client."""
        while self._idle and (self._idle[0].closed or self._idle[0].idle_since + self._limits.keep_idle < now):
            self._drop(self._idle.popleft())

    def close(self) -> None:
        for connection in list(self._open):
            self._drop(connection)
        self._idle.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectError(f"{self.target} is no longer called: the gateway is stopping"))

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._waiters) >= self._limits.waiting:
            raise BusyError(f"{self.target} is busy: {self._limits.waiting} callers already wait for a connection")
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._limits.wait):
                await waiter
        except TimeoutError:
            raise BusyError(
                f"{self.target} is busy: none of {self._limits.connections} connections became free "
                f"in {self._limits.wait:g} s"
            ) from None
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._next()  # The turn was ours and is passed on, or it would be lost.
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> Connection:
        self._count += 1
        try:
            async with asyncio.timeout(self._limits.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(target=self.target, loop=loop, header_limit=self._limits.header_bytes),
                    self.target.host,
                    self.target.port,
                    ssl=self._tls() if self.target.secure else None,
                )
        except BaseException as error:
            self._count -= 1
            self._next()
            if isinstance(error, TimeoutError):
                raise ConnectError(f"{self.target} did not accept a connection in {self._limits.connect:g} s") from None
            if isinstance(error, (OSError, ssl.SSLError, UnicodeError)):
                raise ConnectError(f"{self.target} does not accept connections: {_plain(error)}") from None
            raise
        self._open.add(connection)
        return connection

    def _drop(self, connection: Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            self._count -= 1
        connection.close()

    def _next(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def _plain(error: Exception) -> str:
    """What went wrong, without the address that the message already names."""
    return error.strerror.strip() if isinstance(error, OSError) and error.strerror else str(error)[:200]
