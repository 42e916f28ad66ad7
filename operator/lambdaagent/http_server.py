"""aiohttp's server with limits on request heads, and with refusals that repeat no part of the request.

When its parser refuses a request, aiohttp repeats the first hundred bytes of the refused text, such as a bearer token
that is too long, in the response and in the log. So the parser's own limits on headers are set too high to be reached.
`HeadParser` counts the bytes of a head as they arrive, `HeadLimits` checks the headers of a parsed request, and a
refusal names the limit and never the value.

Connections are limited, and shared among the addresses that they come from: none holds so many that another gets none.
One beyond that is closed at once.

A client that takes its response too slowly is disconnected: it would hold the response, and the stream or the call
behind it, for ever.

Handlers get the body as received. Nothing is decompressed, because a handler that passes a body on also passes on its
length and its Content-Encoding.
"""

import asyncio
import contextlib
import resource
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import structlog
from aiohttp import HttpVersion10, HttpVersion11, http_exceptions, web
from aiohttp.web_protocol import RequestHandler

from lambdaagent.shares import Shares

log = structlog.get_logger(__name__)
HEADER_BYTES = 32 * 1024
_COUNT = 128
_TOGETHER = 4  # all headers of a request may have this many times the bytes of one
_LINE = 8190  # bytes of the request line
_LINGER = 2.0  # seconds
_VERSIONS = (HttpVersion11, HttpVersion10)  # aiohttp's parser in C accepts HTTP/0.9 too
_NO_LIMIT = 2**31
CONNECTIONS = 10_000  # open ones of one server
_HANDSHAKE = 10.0  # seconds
_GOODBYE = 2.0  # seconds
STALLED = 60.0  # seconds
_LEAST = 512  # bytes a second that a client must take of a response
_ACKNOWLEDGED = 120  # the place of tcpi_bytes_acked in Linux's struct tcp_info


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is refused before its handler. `header` is the header at fault and `path` the request's path;
    each is empty if it is unknown.
    """

    status: int
    kind: str
    detail: str
    header: str = ""
    path: str = ""


Refusal = Callable[[Refused], web.Response]


@dataclass(frozen=True, slots=True)
class HeadLimits:
    header: int = HEADER_BYTES  # bytes of one header, its name and its value

    @property
    def head(self) -> int:
        """Bytes of all headers of one request."""
        return self.header * _TOGETHER

    def exceeded(self, headers: Iterable[tuple[bytes, bytes]], *, path: str) -> Refused | None:
        """Return the refusal of a request whose headers exceed a limit; None if they do not."""
        together = count = 0
        for name, value in headers:
            size = len(name) + len(value)
            if size > self.header:
                return self.one(name, path=path)
            together += size
            count += 1
        if together > self.head:
            return self.all(path=path)
        return _too_large(f"The request has more than {_COUNT} headers.", path=path) if count > _COUNT else None

    def one(self, name: bytes, *, path: str) -> Refused:
        return _too_large(f"One header is over the limit of {self.header} bytes.", header=name, path=path)

    def all(self, *, path: str) -> Refused:
        return _too_large(f"The headers together are over the limit of {self.head} bytes.", path=path)


def _too_large(detail: str, *, header: bytes = b"", path: str) -> Refused:
    name = header[:64].decode("latin-1").lower()
    return Refused(431, "headers-too-large", detail, header=name, path=path)


def plain(refused: Refused) -> web.Response:
    """Return a refusal as plain text, for a server without its own error format."""
    return web.Response(status=refused.status, text=f"{refused.detail}\n")


def _most_connections() -> int:
    """Return a number that leaves as many file descriptors for everything else."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if allowed == resource.RLIM_INFINITY else min(CONNECTIONS, allowed // 2)


class ServerRunner(web.AppRunner):
    def __init__(
        self,
        app: web.Application,
        *,
        limits: HeadLimits,
        refusal: Refusal,
        connections: int | None = None,
        stalled: float = STALLED,
        **options: Any,
    ) -> None:
        """`connections` is the number of open ones; None leaves it to the machine. `stalled` is the number of seconds
        after which it is seen how much a client has taken of a response.
        """
        options |= {"max_line_size": _LINE, "max_field_size": _NO_LIMIT, "max_headers": _NO_LIMIT}
        super().__init__(app, auto_decompress=False, **options)
        self._limits = limits
        self._refusal = refusal
        self._shares = Shares(connections if connections is not None else _most_connections())
        self._stalled = stalled

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, limits=self._limits, refusal=self._refusal, shares=self._shares, stalled=self._stalled)


class TlsSite(web.TCPSite):
    """A port with TLS. A client that does not finish its handshake in time is disconnected, as is one that does not
    answer the end of the connection; neither delays others.
    """

    async def start(self) -> None:
        await super(web.TCPSite, self).start()  # aiohttp's own sets no limit of time
        self._server = await asyncio.get_running_loop().create_server(
            cast("web.Server", self._runner.server),
            self._host,
            self._port,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=_HANDSHAKE,
            ssl_shutdown_timeout=_GOODBYE,
        )


class _Server(web.Server):
    """A copy of the application's server whose connections are `_Connection`."""

    def __init__(
        self, made: web.Server, *, limits: HeadLimits, refusal: Refusal, shares: Shares, stalled: float
    ) -> None:
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,
            **made._kwargs,
        )
        self.limits = limits
        self.refusal = refusal
        self.shares = shares
        self.stalled = stalled

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("_look", "_peer", "_refusal", "_shares", "_stalled")

    def __init__(self, server: _Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._refusal = server.refusal
        self._shares = server.shares
        self._peer: str | None = None
        self._parser = HeadParser(self._parser, server.limits)  # type: ignore[assignment]
        self._stalled = server.stalled
        self._look: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Serve requests until the connection closes, and limit how long the rest of the last response may take."""
        transport = self.transport
        try:
            await super().start()
        finally:
            # With TLS, the end of a connection has a limit of its own.
            plain = transport is not None and transport.get_extra_info("sslcontext") is None
            if transport is not None and plain and transport.get_write_buffer_size() and self._look is None:
                self._watch(transport)

    def pause_writing(self) -> None:
        super().pause_writing()
        transport = self.transport
        if transport is not None and self._look is None:
            self._watch(transport)

    def resume_writing(self) -> None:
        self._stop_looking()
        super().resume_writing()

    def _watch(self, transport: asyncio.Transport) -> None:
        self._look = self._loop.call_later(self._stalled, self._require_taken, transport, _taken(transport))

    def _require_taken(self, transport: asyncio.Transport, before: int) -> None:
        if _taken(transport) - before < self._stalled * _LEAST:
            log.info("connection.stalled")
            transport.abort()
        else:
            self._watch(transport)

    def _stop_looking(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        peer = str(address[0]) if address else ""
        if self._shares.take(peer):
            self._peer = peer
        else:
            cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._peer is not None:
            self._shares.give_back(self._peer)
            self._peer = None
        self._stop_looking()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an error that no handler answered: one of the parser, or of aiohttp itself."""
        if not isinstance(exc, _RefusedError):
            return super().handle_error(request, status, exc, message)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was begun, so no other can be sent")
        log.info("request.refused", status=exc.refused.status, kind=exc.refused.kind)
        return _Last(self._refusal(exc.refused), self)


def _taken(transport: asyncio.Transport) -> int:
    """Return a number that grows by one with each byte that the client takes."""
    connection = transport.get_extra_info("socket")
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED + 8)
        return int(struct.unpack_from("=Q", told, _ACKNOWLEDGED)[0])
    except (AttributeError, OSError, struct.error):  # not Linux
        return -transport.get_write_buffer_size()


class _Last(web.Response):
    """The last response on a connection whose client may still be sending.

    Closing a socket with unread bytes resets the connection, and the client loses the response. So after the response
    only the sending side is closed, and received bytes are dropped for `_LINGER` seconds.
    """

    def __init__(self, response: web.Response, connection: _Connection) -> None:
        super().__init__(status=response.status, headers=response.headers, body=response.body)
        self.force_close()
        self._connection = connection

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        transport = self._connection.transport
        if transport is not None and transport.can_write_eof():
            with contextlib.suppress(OSError):  # the client has closed already
                transport.write_eof()
            await asyncio.sleep(_LINGER)  # Cancelled when the client closes.


class _RefusedError(http_exceptions.HttpProcessingError):
    def __init__(self, refused: Refused) -> None:
        super().__init__(code=refused.status, message=refused.detail)
        self.refused = refused


class HeadParser:
    """aiohttp's request parser with limits on complete and incomplete heads, and with errors of this module.

    After a refusal it gets no more data, because the following bytes belong to no request. The usual head arrives in
    one read that is shorter than the limit of one header, and costs one comparison.
    """

    __slots__ = (
        "_broken",
        "_feed",
        "_limits",
        "_payload",
        "_pieces",
        "_size",
        "_small",
        "feed_eof",
        "message_consumed",
        "pause_reading",
        "set_upgraded",
    )

    def __init__(self, parser: Any, limits: HeadLimits) -> None:
        self._feed: Callable[[bytes], tuple[Any, bool, bytes]] = parser.feed_data
        self._limits = limits
        self._small = limits.header
        self._payload: Any = None  # the body of the newest request
        self._pieces: list[bytes] = []  # the bytes of an incomplete head
        self._size = 0
        self._broken = False
        self.pause_reading = parser.pause_reading
        self.message_consumed = parser.message_consumed
        self.set_upgraded = parser.set_upgraded
        self.feed_eof = parser.feed_eof

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        if self._broken:
            return (), False, b""
        body = self._open  # the data, or its beginning, belongs to a body
        try:
            found = self._feed(data)
        except http_exceptions.HttpProcessingError as error:
            self._broken = True
            if self._open:
                # A handler already answers this request; reading the body raises this exception there.
                self._payload.set_exception(web.RequestPayloadError("its framing is broken"))
                self._payload.feed_eof()
                return (), False, b""
            raise _RefusedError(_malformed(error)) from None  # The parser's error contains bytes of the request.
        if found[0]:
            large = self._size + len(data) > self._small
            for message, payload in found[0]:
                self._payload = payload
                headers = message.headers
                if message.version not in _VERSIONS:
                    self._broken = True
                    raise _RefusedError(_NOT_HTTP)
                if large or len(message.raw_headers) > _COUNT or "Expect" in headers or "Transfer-Encoding" in headers:
                    self._judge(message)
            if self._pieces:
                self._pieces.clear()
                self._size = 0
        elif data and not body:
            self._pieces.append(data)
            self._size += len(data)
            if self._size > self._limits.head + _LINE:
                self._broken = True
                raise _RefusedError(self._endless())
        return found

    @property
    def _open(self) -> bool:
        """Whether the body of the newest request is incomplete."""
        return self._payload is not None and not self._payload.is_eof()

    def _judge(self, message: Any) -> None:
        refused = self._limits.exceeded(message.raw_headers, path=message.path.partition("?")[0])
        # The parser accepts other transfer codings too, which handlers can neither decode nor pass on.
        codings = message.headers.getall("Transfer-Encoding", ())
        if refused is None and any(value.strip().lower() != "chunked" for value in codings):
            refused = Refused(501, "unknown-coding", "The only transfer coding that is supported is chunked.")
        # aiohttp's own response to another expectation repeats it.
        if refused is None and message.headers.get("Expect", "100-continue").lower() != "100-continue":
            refused = Refused(417, "expectation-failed", "The only expectation that is supported is 100-continue.")
        if refused is not None:
            self._broken = True
            raise _RefusedError(refused)

    def _endless(self) -> Refused:
        head = b"".join(self._pieces)
        self._pieces.clear()
        path = head.partition(b" ")[2].partition(b" ")[0][:_LINE].partition(b"?")[0].decode("latin-1")
        line = head[head.rfind(b"\n") + 1 :]
        if len(line) > self._limits.header:
            return self._limits.one(line.partition(b":")[0], path=path)
        return self._limits.all(path=path)


_NOT_HTTP = Refused(400, "malformed-request", "The request is not HTTP/1.1; the connection is closed.")


def _malformed(error: http_exceptions.HttpProcessingError) -> Refused:
    if isinstance(error, http_exceptions.LineTooLong):
        return Refused(414, "path-too-long", f"The request line is over the limit of {_LINE} bytes.")
    return _NOT_HTTP
