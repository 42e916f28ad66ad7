"""One HTTP/1.1 connection to a container, parsed by httptools, with flow control in both directions.

One exchange uses a connection at a time. Its response is streamed: if the reader is slower, the socket is paused, so
that a slow client slows the container and does not fill this process's memory. Deadlines use one lazily re-armed timer
per connection, because a timer per request costs more than the parsing. Anything unexpected closes the connection; only
an exchange that ended exactly as HTTP defines leaves it reusable.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections import deque
from collections.abc import AsyncIterable
from typing import cast

import httptools

from lambdaagent.httpclient.errors import BadAnswerError, BodyLengthError, DroppedError, UpstreamTimeoutError
from lambdaagent.httpclient.wire import Target

HIGH_WATER, LOW_WATER = 256 * 1024, 64 * 1024


class Connection(asyncio.Protocol):
    def __init__(self, *, target: Target, loop: asyncio.AbstractEventLoop, header_limit: int) -> None:
        self.target = target
        self.now = loop.time
        self.used = 0  # exchanges begun
        self.idle_since = 0.0
        self.closed = False
        self.heard = False  # a byte of the current response has arrived
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.complete = False  # the whole response has arrived
        self.coded = False  # the response has a content coding
        self._loop = loop
        self._header_limit = header_limit
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._active = False
        self._keep_alive = False
        self._head_size = self._header_size = 0
        self._framed = False
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._write_paused = False
        self._deadline: float | None = None
        self._why_late, self._time = "", 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        # The peer's kernel accepted no byte of this request, so the container cannot have seen any of it.
        self.untouched = False

    # The exchange

    def begin(self, head: bytes, body: bytes) -> None:
        self.used += 1
        self.heard = self.complete = self._keep_alive = self._framed = self.untouched = False
        self.status = self._head_size = self._header_size = 0
        self.headers = []
        self._active = True
        transport = self._open()
        self._sent = len(head) + len(body)
        transport.write(head + body if body else head)

    async def stream(self, body: AsyncIterable[bytes], *, length: int | None) -> None:
        """Send the body as fast as the container reads it; `length` None means chunked.

        Raises BodyLengthError before a byte beyond `length` is sent, and if the body ends with fewer.
        """
        chunked = length is None
        left = 0 if length is None else length
        async for chunk in body:
            if not chunk:
                continue
            if not chunked:
                left -= len(chunk)
                if left < 0:
                    raise BodyLengthError(f"the body is longer than its length of {length} bytes")
            self._sent += len(chunk)
            self._open().write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            if self._write_paused:
                self._drain = self._loop.create_future()
                await self._drain
        if chunked:
            self._open().write(b"0\r\n\r\n")
        elif left:
            raise BodyLengthError(f"the body ended {left} bytes before its length of {length}")

    async def answered(self) -> None:
        """Wait for the head of the response."""
        while not self.status and self._error is None:
            await self._wait()
        if self._error is not None and not self.status:
            raise self._error

    async def read(self) -> bytes:
        """Return the next piece of the body; empty at its end."""
        while not self._chunks:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        return self.take()

    def take(self) -> bytes:
        """Return all buffered data."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def expire(self, at: float | None, why: str = "", seconds: float = 0.0) -> None:
        """Fail the exchange at this loop time; `why` and `seconds` form the error. None removes the deadline."""
        self._deadline = at
        self._why_late, self._time = why, seconds
        if at is None:
            return
        if self._timer is not None and self._timer.when() <= at:
            return  # It fires early and is armed again for the deadline: most exchanges end before that.
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._late)

    @property
    def reusable(self) -> bool:
        return self.complete and self._keep_alive and not self.closed and not self._chunks and not self._write_paused

    def rest(self) -> None:
        """Prepare for the pool: no exchange, no deadline."""
        self._active = False
        self.idle_since = self.now()
        self._deadline = None

    def refuse(self, error: Exception) -> None:
        """End the exchange with the sender's error, because the request cannot be finished."""
        self._fail(error)
        self._abort()

    def close(self) -> None:
        self._fail(DroppedError("the connection to it was closed here"))
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports have another class.
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if not self._active or self.complete:
            self._fail(BadAnswerError("it sent more than its response"))
            self._abort()
            return
        self.heard = True
        if not self.status:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(BadAnswerError("it switched to another protocol"))
            self._abort()
        except httptools.HttpParserError as error:
            self._fail(BadAnswerError(f"its response is not HTTP/1.1: {str(error)[:200]}"))
            self._abort()
        # Bytes that arrived before the head was complete, or the headers of a head that arrived at once.
        if (not self.status and self._head_size > self._header_limit) or self._header_size > self._header_limit:
            self.status = 0
            self._fail(BadAnswerError(f"it sent headers over {self._header_limit} bytes"))
            self._abort()
        self._wake()

    def eof_received(self) -> bool:
        self._note_untouched()
        self._ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._note_untouched()
        self._ended()
        self.closed = True
        self._active = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._release_drain()
        self._wake()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._release_drain()

    # httptools callbacks

    def on_message_begin(self) -> None:
        # A second response belongs to no request. It is not read, and the connection is not reused.
        if self.complete:
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # A trailer, which is not used.
        self._header_size += len(name) + len(value)
        self.headers.append((name.decode("latin-1"), value.decode("utf-8", "replace")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers = []  # Interim (RFC 9110 15.2); the final response follows.
            return
        names = {name.lower() for name, _ in self.headers}
        self.coded = "content-encoding" in names
        if "transfer-encoding" in names and not self._is_only_chunked():
            # The parser decodes chunks only; another coding would remain, without a label.
            self._fail(BadAnswerError("it answered with a transfer coding other than chunked"))
            self._abort()
            return
        self._framed = "content-length" in names or "transfer-encoding" in names or status in (204, 304)
        self._keep_alive = self._framed and self._parser.should_keep_alive()
        self.status = status

    def on_body(self, body: bytes) -> None:
        if self.complete:
            return
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True

    # Internals

    def _is_only_chunked(self) -> bool:
        codings = [value for name, value in self.headers if name.lower() == "transfer-encoding"]
        return [value.strip().lower() for value in codings] == ["chunked"]

    def _open(self) -> asyncio.Transport:
        if self._transport is None or self.closed or self._transport.is_closing():
            raise self._error or DroppedError("it closed the connection")
        return self._transport

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _release_drain(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None

    def _ended(self) -> None:
        """Handle the loss of the peer. Without a length, the end of the connection ends the body (RFC 9112 6.3)."""
        self.closed = True
        if self._active and not self.complete and self._error is None:
            if self.status and not self._framed:
                self.complete = True
            else:
                what = "in the middle of its response" if self.heard else "without answering"
                self._fail(DroppedError(f"it dropped the connection {what}"))
        self._wake()

    def _fail(self, error: Exception) -> None:
        self.closed = True
        if self._error is None:
            self._error = error
        self._wake()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _late(self) -> None:
        self._timer = None
        if self._deadline is None or self.closed:
            return
        if self._deadline > self._loop.time():
            self._timer = self._loop.call_at(self._deadline, self._late)
            return
        self._fail(UpstreamTimeoutError(f"it {self._why_late} in {self._time:g} s"))
        self._release_drain()
        self._abort()

    def _note_untouched(self) -> None:
        """Set `untouched` when a connection ends without a response.

        It may be a kept connection that the container closed as idle while the request was in transit. The
        unacknowledged bytes of the send queue (SIOCOUTQ) show this: the peer's FIN acknowledges all that it had
        received. Under TLS the count is of other bytes, so nothing is known.
        """
        if self.untouched or self.heard or not self._active or self.target.secure or self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is None:
            return
        try:
            waiting = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        except (OSError, ValueError):
            return
        self.untouched = waiting + self._transport.get_write_buffer_size() >= self._sent
