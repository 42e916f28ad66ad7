"""The connections to one target: limited in number, kept open for reuse, and awaited for a limited time.

The limit protects the container (and the gateway's file descriptors) from a burst. The other calls of the burst wait in
the order of their arrival, each within its own deadline, and hold meanwhile nothing that calls to other targets need.
The most recently used connection is reused first, so that the others age and close.
"""

import asyncio
import os
import re
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambdaagent.httpclient.call_slots import HELD, CallSlot
from lambdaagent.httpclient.connection import Connection
from lambdaagent.httpclient.errors import BusyError, ConnectError
from lambdaagent.httpclient.wire import Target

_QUOTED = re.compile(r"'[^']*'")


# Returns a connected socket for a host and a port. Raises OSError, ConnectError.
Dial = Callable[[str, int], Awaitable[socket.socket]]


@dataclass(frozen=True, slots=True)
class PoolLimits:
    connections: int = 256  # per target that has no limit of its own
    waiting: int = 1024  # calls per target
    connect: float = 5.0
    keep_idle: float = 30.0  # less than the minute after which common servers and proxies close
    header_bytes: int = 64 * 1024
    body_bytes: int = 10 * 1024 * 1024  # of a response that is read whole


class Pool:
    def __init__(
        self, *, target: Target, limits: PoolLimits, tls: Callable[[], ssl.SSLContext], dial: Dial | None = None
    ) -> None:
        self.target = target
        self._limits = limits
        self._tls = tls
        self._dial = dial
        self._idle: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._count = 0  # open, or being opened
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._promised = 0  # waiters that were woken and have not run yet

    @property
    def limit(self) -> int:
        return self.target.connections or self._limits.connections

    @property
    def _ahead(self) -> bool:
        """Whether other calls come before a new one: a connection that becomes free is theirs."""
        return bool(self._waiters) or self._promised > 0

    @property
    def unused(self) -> bool:
        return not self._count and not self._ahead

    def idle(self) -> Connection | None:
        """Return an idle connection for a new call; None if there is none or other calls wait for it."""
        return None if self._ahead else self._kept()

    async def acquire(self, *, until: float, fresh: bool = False) -> Connection:
        """Wait for a connection, which is the caller's until `release`. `fresh`: not one that was used before.

        `until` is a time of the loop. Raises BusyError, ConnectError.
        """
        loop = asyncio.get_running_loop()
        if (self._count < self.limit and not self._ahead) or (fresh and self._idle):
            return await self._another(loop, until=until, fresh=fresh)
        place = HELD.get()
        if place is not None:
            place.give_back()
        began, kept, waited = loop.time(), None, False
        try:
            async with asyncio.timeout_at(until):
                while kept is None and (self._count >= self.limit or (self._ahead and not waited)):
                    await self._turn(loop)
                    waited = True
                    if fresh and self._idle:
                        break
                    kept = None if fresh else self._kept()
        except TimeoutError:
            seconds = round(loop.time() - began, 2)
            text = f"all {self.limit} connections to it stayed in use for {seconds:g} s"
            raise BusyError(text, limit=self.limit) from None
        connection = kept or await self._another(loop, until=until, fresh=fresh)
        if place is not None:
            await self._again(place, connection, until=until)
        return connection

    async def _another(self, loop: asyncio.AbstractEventLoop, *, until: float, fresh: bool) -> Connection:
        if fresh and self._count >= self.limit:
            self._drop(self._idle.popleft())
        return await self._connect(loop, until=until)

    async def _again(self, place: CallSlot, connection: Connection, *, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await place.take()
        except BaseException as error:
            self._drop(connection)
            self._next()
            if isinstance(error, TimeoutError):
                text = "the gateway's limit of simultaneous calls is reached, and none of them ended in time"
                raise BusyError(text, limit=self.limit) from None
            raise

    def follow(self, target: Target) -> None:
        """Apply the limit of a target with the same address. Excess connections in use close when they are released."""
        self.target = target
        while self._idle and self._count > self.limit:
            self._drop(self._idle.popleft())

    def release(self, connection: Connection) -> None:
        if connection.reusable and self._count <= self.limit:
            connection.rest()
            self._idle.append(connection)
        else:
            self._drop(connection)
        self._next()

    def sweep(self, now: float) -> None:
        """Close connections that were idle too long; the client calls this periodically."""
        while self._idle and (self._idle[0].closed or self._idle[0].idle_since + self._limits.keep_idle < now):
            self._drop(self._idle.popleft())

    def close(self) -> None:
        for connection in list(self._open):
            self._drop(connection)
        self._idle.clear()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ConnectError("it is no longer called: the gateway is stopping"))

    async def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        if len(self._waiters) >= self._limits.waiting:
            raise BusyError(
                f"all {self.limit} connections to it are in use and {self._limits.waiting} callers wait",
                limit=self.limit,
            )
        waiter = loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._promised -= 1
                self._next()  # This waiter was woken already, so the next one is woken instead.
            raise
        else:
            self._promised -= 1
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since + self._limits.keep_idle > connection.now():
                return connection
            self._drop(connection)
        return None

    async def _connect(self, loop: asyncio.AbstractEventLoop, *, until: float) -> Connection:
        self._count += 1
        seconds = min(self._limits.connect, max(0.0, until - loop.time()))
        try:
            async with asyncio.timeout(seconds):
                connection = await self._open_to(loop)
        except BaseException as error:
            self._count -= 1
            self._next()
            if isinstance(error, TimeoutError):
                raise ConnectError(f"it did not accept a connection in {round(seconds, 2):g} s") from None
            if isinstance(error, (OSError, ssl.SSLError, UnicodeError)):
                raise ConnectError(f"it does not accept connections: {_plain(error)}") from None
            raise
        self._open.add(connection)
        return connection

    async def _open_to(self, loop: asyncio.AbstractEventLoop) -> Connection:
        target, tls = self.target, self._tls() if self.target.secure else None

        def made() -> Connection:
            return Connection(target=target, loop=loop, header_limit=self._limits.header_bytes)

        if self._dial is None:
            return (await loop.create_connection(made, target.host, target.port, ssl=tls))[1]
        dialled = await self._dial(target.host, target.port)
        name = target.host if target.secure else None
        try:
            return (await loop.create_connection(made, sock=dialled, ssl=tls, server_hostname=name))[1]
        except BaseException:
            dialled.close()
            raise

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
                self._promised += 1
                return


def _plain(error: Exception) -> str:
    """Return the reason without the address, which is an internal one: the message goes to callers."""
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _QUOTED.sub("its name", error.verify_message) or "its certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS failed").replace("_", " ").lower()
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else "none of its addresses answers"
    return "its host name is not valid"
