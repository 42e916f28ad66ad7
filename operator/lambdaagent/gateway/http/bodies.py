"""Reads request bodies within a limit of size and a limit of time.

aiohttp closes a connection on which no whole request head arrives within the keep-alive time, but waits for a body
without a limit. The limit here counts only the time in which the gateway waits for the client: a slow container that
delays the reading of a streamed body costs its client nothing. A body that arrived with its head, as most do, needs no
timer.

The server decompresses nothing. `whole` decodes a body for the gateway's own use; `as_sent` and `passed_on` give the
received bytes, which match the received Content-Length and Content-Encoding.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.gateway.services import SERVICES
from lambdaagent.httpclient import codings


@dataclass(frozen=True, slots=True)
class Pace:
    """The minimum pace of a request body.

    For a body that is read whole, the gateway waits at most `patience` plus the time that the received bytes take at
    `rate`. For a body that is passed on, it waits at most `patience` for each chunk, and the call has its own timeout.
    """

    patience: float = 30.0  # seconds
    rate: float = 4096.0  # bytes per second


_WHOLE = web.RequestKey("whole_body", bytes)
PACE = web.AppKey("pace", Pace)


class TooSlowError(web.HTTPRequestTimeout):
    """The client does not send its body in time (408)."""


class BrokenError(Exception):
    """The body cannot be read: its framing or its content coding is broken."""


async def whole(request: web.Request) -> bytes:
    """Return the decoded body; the limit applies to the decoded bytes. It is read once, however often it is asked for.

    Raises HTTPRequestEntityTooLarge, TooSlowError, BrokenError, UnknownCodingError.
    """
    if _WHOLE not in request:
        request[_WHOLE] = await _read_whole(request)
    return request[_WHOLE]


async def _read_whole(request: web.Request) -> bytes:
    if "Content-Encoding" not in request.headers:
        return await as_sent(request)
    names = codings.listed(request.headers.getall("Content-Encoding"))
    if not names:
        return await as_sent(request)
    services = request.app[SERVICES]
    return await _decoded(
        request, _chunks(request, codings.room(services.config.max_body), request.app[PACE].rate), names
    )


async def decoded(request: web.Request, sent: bytes) -> bytes:
    """Decode the result of `as_sent`. Raises as `whole`."""
    names = codings.listed(request.headers.getall("Content-Encoding", ()))
    return await _decoded(request, _once(sent), names) if names else sent


async def _decoded(request: web.Request, chunks: AsyncIterator[bytes], names: Sequence[str]) -> bytes:
    limit = request.app[SERVICES].config.max_body
    try:
        return b"".join([chunk async for chunk in codings.decoded(chunks, names, limit=limit)])
    except codings.TooLongError:
        raise web.HTTPRequestEntityTooLarge(limit, limit + 1) from None
    except codings.BrokenCodingError as error:
        raise BrokenError(str(error)) from None


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def as_sent(request: web.Request) -> bytes:
    """Return the body as received. Call it once per request.

    Raises HTTPRequestEntityTooLarge, TooSlowError, BrokenError.
    """
    if request.content.is_eof():
        try:
            return await request.read()
        except web.RequestPayloadError as error:
            raise BrokenError(str(error)) from None
    services = request.app[SERVICES]
    return b"".join([chunk async for chunk in _chunks(request, services.config.max_body, request.app[PACE].rate)])


def passed_on(request: web.Request, *, limit: int | None = None) -> AsyncIterator[bytes]:
    """Yield the body in chunks as they arrive. The iteration raises as `as_sent`."""
    return _chunks(request, limit, None)


async def _chunks(request: web.Request, limit: int | None, rate: float | None) -> AsyncIterator[bytes]:
    content, loop, patience = request.content, asyncio.get_running_loop(), request.app[PACE].patience
    size, waited = 0, 0.0
    while True:
        began = loop.time()
        left = patience if rate is None else patience + size / rate - waited
        try:
            async with asyncio.timeout(left):
                chunk = await content.readany()
        except TimeoutError as error:
            # Without the exception the server would wait for the rest of the body after the response.
            content.set_exception(error)
            raise TooSlowError from None
        except web.RequestPayloadError as error:
            raise BrokenError(str(error)) from None
        waited += loop.time() - began
        size += len(chunk)
        if limit is not None and size > limit:
            raise web.HTTPRequestEntityTooLarge(limit, size)
        if not chunk:
            return
        yield chunk
