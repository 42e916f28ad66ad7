"""One request to an MCP server and the messages that answer it, from a JSON body or a stream of server-sent events.

Each message is limited in size, and so is what all messages of a response have together.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from lambdaagent import media_types
from lambdaagent.errors import words
from lambdaagent.events.http import media_type
from lambdaagent.httpclient.errors import BadAnswerError
from lambdaagent.httpclient.sse_decoder import SseDecoder
from lambdaagent.mcp import client
from lambdaagent.mcp.client import Headers, Kind, Message, MessageError
from lambdaagent.mcpclient.transport import Reply, Transport

_RESPONSES = (Kind.RESULT, Kind.ERROR)
_REDIRECTS = range(300, 400)


class StatusError(BadAnswerError):
    """The server answered with a status, and without a message of the protocol."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or f"it answers {status}")
        self.status = status


async def one(
    transport: Transport, headers: Headers, body: bytes, *, limit: int, seconds: float
) -> tuple[Message, str | None]:
    """Return the response to a request, and the id of the session that its head begins. Raises UpstreamError."""
    async with transport.send("POST", headers, body, seconds=seconds) as reply:
        session = reply.header(client.SESSION_HEADER.lower())
        async with aclosing(_messages(reply, limit=limit)) as messages:
            async for message in messages:
                if message.kind in _RESPONSES:
                    return message, session
        raise BadAnswerError("its stream ends without a response")


async def each(
    transport: Transport, headers: Headers, body: bytes, *, limit: int, seconds: float
) -> AsyncGenerator[Message, None]:
    """Yield the messages up to the response. Raises UpstreamError."""
    async with transport.send("POST", headers, body, seconds=seconds) as reply:
        async with aclosing(_messages(reply, limit=limit)) as messages:
            async for message in messages:
                yield message
                if message.kind in _RESPONSES:
                    return
        raise BadAnswerError("its stream ends without a response")


async def tell(transport: Transport, headers: Headers, body: bytes, *, seconds: float) -> None:
    """Send a message that has no response. Raises UpstreamError."""
    async with transport.send("POST", headers, body, seconds=seconds) as reply:
        if reply.status >= 300:
            raise StatusError(reply.status)


async def _messages(reply: Reply, *, limit: int) -> AsyncGenerator[Message, None]:
    if reply.status in _REDIRECTS:
        raise StatusError(reply.status, f"it answers {reply.status}, and redirects are not followed")
    if reply.status in (401, 403):
        raise StatusError(reply.status, f"it answers {reply.status}: it wants another credential")
    kind = media_type(reply.header("content-type") or "")
    try:
        if kind == media_types.EVENT_STREAM and reply.status == 200:
            async for text in _events(reply.chunks(), limit=limit):
                if text.strip():  # an event without data only gives the stream a position
                    yield client.parse(text)
            return
        body = await _whole(reply.chunks(), limit=limit)
        if reply.status >= 300 and kind != media_types.JSON:
            raise StatusError(reply.status)
        try:
            yield client.parse(body)
        except MessageError:
            if reply.status >= 300:
                raise StatusError(reply.status) from None
            raise
    except ValueError as error:
        raise BadAnswerError(words(error)) from None


async def _events(chunks: AsyncIterator[bytes], *, limit: int) -> AsyncIterator[str]:
    decoder, size = SseDecoder(limit=limit), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise BadAnswerError(f"it answers with more than {limit // 1024} KiB")
        for text in decoder.feed(chunk):
            yield text
    for text in decoder.end():
        yield text


async def _whole(chunks: AsyncIterator[bytes], *, limit: int) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise BadAnswerError(f"it answers with more than {limit // 1024} KiB")
    return bytes(body)
