"""Request bodies, of so many bytes at most and not for ever.

aiohttp closes a connection on which no whole request head comes within the keep-alive time, but waits for a body for
as long as its client likes. Here only waiting for the client counts: a container that takes a streamed body slowly
holds the reader up and costs its client nothing. A body that came with its head, as most do, is taken without a timer.

The server decompresses nothing. `whole` decodes a body for the gateway's own use; `as_sent` and `passed_on` give the
bytes that came, which go on with the length and the Content-Encoding that came with them.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.gateway.services import SERVICES
from lambdaagent.httpclient import codings


@dataclass(frozen=True, slots=True)
class Pace:
    """A body that is kept until it is whole must come at the rate, after so much patience. One that is passed on as it
    comes may be made as slowly as it is sent; it must go on, and the call that it belongs to has a limit of its own.
    """

    patience: float = 30.0  # seconds
    rate: float = 4096.0  # bytes per second


PACE = web.AppKey("pace", Pace)


class TooSlowError(web.HTTPRequestTimeout):
    """The client does not send its body."""


class BrokenError(Exception):
    """The body cannot be read: its framing or its content coding is broken."""


async def whole(request: web.Request) -> bytes:
    """Decoded; the limit is on the decoded bytes. Once per request.

    Raises HTTPRequestEntityTooLarge, TooSlowError, BrokenError, UnknownCodingError.
    """
    if "Content-Encoding" not in request.headers:
        return await as_sent(request)
    names = codings.listed(request.headers.getall("Content-Encoding"))
    if not names:
        return await as_sent(request)
    services = request.app[SERVICES]
    return await _decoded(request, _chunks(request, codings.room(services.max_body), request.app[PACE].rate), names)


async def decoded(request: web.Request, sent: bytes) -> bytes:
    """What `as_sent` gave, decoded. Raises as `whole`."""
    names = codings.listed(request.headers.getall("Content-Encoding", ()))
    return await _decoded(request, _once(sent), names) if names else sent


async def _decoded(request: web.Request, chunks: AsyncIterator[bytes], names: Sequence[str]) -> bytes:
    limit = request.app[SERVICES].max_body
    try:
        return b"".join([chunk async for chunk in codings.decoded(chunks, names, limit=limit)])
    except codings.TooLongError:
        raise web.HTTPRequestEntityTooLarge(limit, limit + 1) from None
    except codings.BrokenCodingError as error:
        raise BrokenError(str(error)) from None


async def _once(chunk: bytes) -> AsyncIterator[bytes]:
    yield chunk


async def as_sent(request: web.Request) -> bytes:
    """As it came. Once per request. Raises HTTPRequestEntityTooLarge, TooSlowError, BrokenError."""
    if request.content.is_eof():
        try:
            return await request.read()
        except web.RequestPayloadError as error:
            raise BrokenError(str(error)) from None
    services = request.app[SERVICES]
    return b"".join([chunk async for chunk in _chunks(request, services.max_body, request.app[PACE].rate)])


def passed_on(request: web.Request, *, limit: int | None = None) -> AsyncIterator[bytes]:
    """As it comes. Raises as `as_sent`, in between."""
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
            # Otherwise the server would read on for a while after the answer, in case that the rest comes.
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
