"""Server-sent events to a client: back-pressure by awaiting each write, a comment now and then to keep proxies calm.

A client that goes away ends its own reading and nothing else: aiohttp cancels the handler, which closes the generator
that it reads from. When the gateway stops, streams end properly and at once, so that clients go on elsewhere with
their Last-Event-ID instead of holding up the shutdown.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from aiohttp import web

from lambdaagent.cancellation import cancel
from lambdaagent.gateway.http import request_id

CONTENT_TYPE = "text/event-stream"
PING_SECONDS = 15.0  # proxies end a connection that is silent for a minute, some for half of one
# nginx buffers what it proxies unless it is told.
_HEADERS = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_PING = b": ping\n\n"
NOTHING = b": nothing\n\n"
"""For a reader that has everything already."""


class Streams:
    """The streams that this process writes, each in the task of its request.

    They end at once when the gateway stops. Otherwise each would hold up the shutdown until it is cut.
    """

    def __init__(self, *, ping: float = PING_SECONDS) -> None:
        self.ping = ping
        self.stopping = False
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def open(self) -> int:
        return len(self._tasks)

    @contextmanager
    def one(self) -> Iterator[asyncio.Task[object]]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is written by a task")
        self._tasks.add(task)
        try:
            yield task
        finally:
            self._tasks.discard(task)

    def stop(self) -> None:
        self.stopping = True
        for task in self._tasks:
            task.cancel()


STREAMS = web.AppKey("streams", Streams)


def frame(data: bytes, *, id_: str = "", event: str = "") -> bytes:
    """`data` is JSON, so it has no line breaks."""
    head = (f"event: {event}\n" if event else "") + (f"id: {id_}\n" if id_ else "")
    return b"%bdata: %b\n\n" % (head.encode(), data)


def single(request: web.Request, data: bytes) -> web.Response:
    """A stream of one event that is over already."""
    return web.Response(body=frame(data), headers=_HEADERS)


async def write(
    request: web.Request,
    frames: AsyncGenerator[bytes, None],
    *,
    broken: Callable[[Exception], bytes],
) -> web.StreamResponse:
    """What the first frame raises is the caller's; `broken` puts a later error into the stream, whose end it is."""
    streams = request.app[STREAMS]
    with streams.one() as task:
        async with aclosing(frames):
            first = await anext(frames, NOTHING)
            response = web.StreamResponse(headers=_HEADERS)
            request_id.say(request, response)
            await response.prepare(request)
            pinger = asyncio.create_task(_keep_calm(response, every=streams.ping), name="sse-ping")
            try:
                await response.write(first)
                async for each in frames:
                    await response.write(each)
            except asyncio.CancelledError:
                if not streams.stopping:
                    raise
                task.uncancel()
            except ConnectionError:
                raise
            except Exception as error:  # the status is out; the stream is the only place left to tell
                await response.write(broken(error))
            finally:
                await cancel(pinger)
            await response.write_eof()
            return response


async def _keep_calm(response: web.StreamResponse, *, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        try:
            await response.write(_PING)
        except ConnectionError:
            return  # the reader's own write, or its cancellation, sees to that
