"""Writes server-sent events to a client, with back-pressure (each write is awaited) and regular comments as pings.

A client that disconnects ends only its own subscription: aiohttp cancels the handler, which closes the generator of its
frames. When the gateway stops, streams end at once and completely, so that clients continue at another replica with
their Last-Event-ID and do not delay the shutdown.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager

from aiohttp import web

from lambdaagent import media_types
from lambdaagent.cancellation import cancel
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.http import request_id
from lambdaagent.shares import Shares

PING_SECONDS = 15.0  # proxies close a connection that is silent for a minute, some after half a minute
# nginx buffers a proxied response unless X-Accel-Buffering is "no".
_HEADERS = {"Content-Type": media_types.EVENT_STREAM, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
MOST = 5_000  # open streams of one process
_PING = b": ping\n\n"
NOTHING = b": nothing\n\n"
"""The first frame of a stream that has no event to send yet, so that the client gets the head of the response."""


class TooManyStreamsError(TemporaryError):
    def __init__(self, own: int) -> None:
        super().__init__(f"too many streams are open at this gateway, {own} of them by this caller; try again later")


class Streams:
    """The open streams of this process, each written by the asyncio task of its request.

    They end at once when the gateway stops; otherwise each would delay the shutdown until its timeout.

    Callers share them: none has so many that another gets none.
    """

    def __init__(self, *, ping: float = PING_SECONDS, most: int = MOST) -> None:
        self.ping = ping
        self.stopping = False
        self._tasks: set[asyncio.Task[object]] = set()
        self._shares = Shares(most)

    @property
    def open(self) -> int:
        return self._shares.held

    @contextmanager
    def one(self, owner: str) -> Iterator[asyncio.Task[object]]:
        """Raises TooManyStreamsError."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is written by a task")
        if not self._shares.take(owner):
            raise TooManyStreamsError(self._shares.of(owner))
        self._tasks.add(task)
        try:
            yield task
        finally:
            self._tasks.discard(task)
            self._shares.give_back(owner)

    def stop(self) -> None:
        self.stopping = True
        for task in self._tasks:
            task.cancel()


STREAMS = web.AppKey("streams", Streams)


def frame(data: bytes, *, id_: str = "", event: str = "") -> bytes:
    """Return one event. `data` must not contain line breaks; JSON has none."""
    head = (f"event: {event}\n" if event else "") + (f"id: {id_}\n" if id_ else "")
    return b"%bdata: %b\n\n" % (head.encode(), data)


def single(request: web.Request, data: bytes) -> web.Response:
    """Return a complete stream of one event."""
    return web.Response(body=frame(data), headers=_HEADERS)


class RevokedError(Exception):
    """The caller may no longer read the stream."""


async def write(
    request: web.Request,
    frames: AsyncGenerator[bytes, None],
    *,
    owner: str,
    broken: Callable[[Exception], bytes],
    allowed: Callable[[], Awaitable[bool]] | None = None,
    farewell: bytes = b"",
) -> web.StreamResponse:
    """Write the frames as a stream of the caller `owner`. `broken` turns an error into a frame.

    Raises the error of the first frame, and TooManyStreamsError.

    `allowed` is asked with each ping whether the caller may still read it. If not, the stream ends with the frame of a
    RevokedError. `farewell` is the last frame of a stream that ends because the gateway stops.
    """
    streams = request.app[STREAMS]
    revoked = False

    async def keep_calm() -> None:
        nonlocal revoked
        while True:
            await asyncio.sleep(streams.ping)
            if allowed is not None and not await allowed():
                revoked = True
                task.cancel()
                return
            try:
                await response.write(_PING)
            except ConnectionError:
                return  # the write of the next frame, or the cancellation of the request, handles the lost connection

    async with aclosing(frames):
        with streams.one(owner) as task:
            first = await anext(frames, NOTHING)
            response = web.StreamResponse(headers=_HEADERS)
            request_id.say(request, response)
            await response.prepare(request)
            pinger = asyncio.create_task(keep_calm(), name="sse-ping")
            try:
                await response.write(first)
                async for each in frames:
                    await response.write(each)
            except asyncio.CancelledError:
                if not (streams.stopping or revoked):
                    raise
                task.uncancel()
                if farewell and not revoked:
                    await response.write(farewell)
                if revoked:
                    await response.write(broken(RevokedError("the caller may no longer read this")))
            except ConnectionError:
                raise
            except Exception as error:  # the status is already sent, so the stream carries the error
                await response.write(broken(error))
            finally:
                await cancel(pinger)
            await response.write_eof()
            return response
