"""HTTP requests to containers. Small on purpose: it has what the gateway needs and measures 2.4 times a general client.

Retries are strict, because almost every call is a POST that may cost money: a request is sent a second time only if it
went out on a reused connection that ended without a byte of response, its body is still in memory, and none of it can
have reached the container (`Connection.untouched`). Every other failure is left to the caller.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import TracebackType

from lambdaagent.httpclient import codings
from lambdaagent.httpclient.connection import Connection
from lambdaagent.httpclient.errors import BadAnswerError, DroppedError, UndecodableError, UpstreamError
from lambdaagent.httpclient.pool import Dial, Pool, PoolLimits
from lambdaagent.httpclient.wire import Headers, Target, head
from lambdaagent.trust import SYSTEM

_SWEEP = 10.0


class Response:
    """A response whose head has arrived. Leaving its context returns the connection to the pool or closes it."""

    __slots__ = ("_connection", "_pool", "_sender", "headers", "status")

    def __init__(self, *, connection: Connection, pool: Pool, sender: "asyncio.Task[None] | None") -> None:
        self._connection = connection
        self._pool = pool
        self._sender = sender
        self.status = connection.status
        self.headers = connection.headers

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def complete(self) -> bool:
        """Whether the whole response has arrived and can be taken without waiting."""
        return self._connection.complete

    def take(self) -> bytes:
        """Return the buffered data, which is the rest of the body if the response is complete."""
        return self._connection.take()

    async def read(self, *, limit: int) -> bytes:
        """Return the rest of the body, decoded.

        Raises BadAnswerError if it is longer than `limit`, UndecodableError.
        """
        parts: list[bytes] = []
        if self._connection.coded:
            parts = [chunk async for chunk in self.decoded(limit=limit)]
        else:
            size = 0
            while chunk := await self._connection.read():
                size += len(chunk)
                if size > limit:
                    raise BadAnswerError(f"it answered with more than {limit} bytes")
                parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def discard(self, *, limit: int) -> None:
        """Read and drop the body, so that the connection can be reused.

        Raises BadAnswerError if it is longer than `limit`.
        """
        async for _ in self._bounded(limit):
            pass

    async def decoded(self, *, limit: int | None) -> AsyncIterator[bytes]:
        """Yield the body without its content codings; `limit` is None for a stream that its reader limits."""
        labels = [value for name, value in self.headers if name.lower() == "content-encoding"]
        try:
            names = codings.listed(labels) if labels else ()
            if not names:
                async for chunk in self._bounded(limit):
                    yield chunk
                return
            raw = self._bounded(None if limit is None else codings.room(limit))
            async for chunk in codings.decoded(raw, names, limit=limit):
                yield chunk
        except codings.TooLongError:
            raise BadAnswerError(f"it answered with more than {limit} bytes") from None
        except codings.CodingError as error:
            raise UndecodableError(f"its response cannot be decoded: {error}") from None

    async def _bounded(self, limit: int | None) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self:
            size += len(chunk)
            if limit is not None and size > limit:
                raise BadAnswerError(f"it answered with more than {limit} bytes")
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, coded as its Content-Encoding says, for callers that pass both on."""
        while chunk := await self._connection.read():
            yield chunk

    async def __aenter__(self) -> "Response":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sender is not None:
            await _settle(self._sender, self._connection)
        self._pool.release(self._connection)


class HttpClient:
    def __init__(
        self,
        *,
        limits: PoolLimits | None = None,
        tls: Callable[[], ssl.SSLContext] = SYSTEM.context,
        dial: Dial | None = None,
    ) -> None:
        """`dial` makes the sockets of connections, for addresses that must be checked."""
        self._dial = dial
        self.limits = limits or PoolLimits()
        self._tls = tls
        self._context: ssl.SSLContext | None = None
        self._pools: dict[Target, Pool] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def request(
        self,
        target: Target,
        *,
        method: str = "POST",
        path: str = "/",
        headers: Headers = (),
        fixed: str = "",
        body: bytes | AsyncIterable[bytes] = b"",
        length: int | None = None,
        first_byte: float,
        total: float,
    ) -> Response:
        """Send the request and wait for the head of the response; `length` is that of a streamed body, None if unknown.

        `first_byte` and `total` are seconds from now and include the wait for a free connection. Cancelling closes the
        connection. Raises UpstreamError, BadTargetError.
        """
        if method == "HEAD":
            raise ValueError("HEAD answers are framed differently and nothing here asks for one")
        buffered = isinstance(body, bytes)
        start = head(
            method=method,
            target=target,
            path=path,
            headers=headers,
            fixed=fixed,
            length=len(body) if isinstance(body, bytes) else length,
        )
        pool = self._pool(target)
        loop = asyncio.get_running_loop()
        asked, within = loop.time(), min(first_byte, total)
        fresh = False
        while True:
            left, connection = within, None if fresh else pool.idle()
            if connection is None:
                connection = await pool.acquire(until=asked + within, fresh=fresh)
                left = round(asked + within - loop.time(), 2)  # minus the wait for the connection
            again = connection.used > 0
            sender: asyncio.Task[None] | None = None
            began = False
            try:
                connection.expire(asked + within, "did not begin to answer", left)
                connection.begin(start, body if isinstance(body, bytes) else b"")
                began = True
                if not isinstance(body, bytes):
                    sender = asyncio.create_task(_send(connection, body, length=length))
                await connection.answered()
            except BaseException as error:
                await _settle(sender, connection)
                retry = isinstance(error, DroppedError) and again and (not began or (buffered and connection.untouched))
                connection.close()
                pool.release(connection)
                if not retry:
                    raise
                fresh = True
                continue
            connection.expire(asked + total, "did not finish its answer", total)
            return Response(connection=connection, pool=pool, sender=sender)

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        # Aborted transports report the loss in the next iteration of the loop; wait for it.
        await asyncio.sleep(0)

    def _pool(self, target: Target) -> Pool:
        pool = self._pools.get(target)
        if pool is None:
            if self._closed:
                raise UpstreamError("it is no longer called: the gateway is stopping")
            pool = self._pools[target] = Pool(target=target, limits=self.limits, tls=self._tls_once, dial=self._dial)
            if self._sweeper is None:
                self._sweeper = asyncio.get_running_loop().call_later(_SWEEP, self._sweep)
        elif pool.target is not target:
            pool.follow(target)  # The agent changed, and its limit of connections may have too.
        return pool

    def _tls_once(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = self._tls()
        return self._context

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for target, pool in list(self._pools.items()):
            pool.sweep(loop.time())
            if pool.unused:
                del self._pools[target]
        self._sweeper = loop.call_later(_SWEEP, self._sweep) if self._pools else None


async def _send(connection: Connection, body: AsyncIterable[bytes], *, length: int | None) -> None:
    try:
        await connection.stream(body, length=length)
    except UpstreamError:
        return  # The connection ended; reading the response raises the reason.
    except Exception as error:
        # The caller's body failed (its client disconnected, or sent too much), or has another length than given.
        connection.refuse(error)


async def _settle(sender: "asyncio.Task[None] | None", connection: Connection) -> None:
    """Stop a sender whose request was answered before it was sent; the connection is then closed."""
    if sender is None:
        return
    if not sender.done():
        sender.cancel()
        connection.close()
        await asyncio.wait([sender])
