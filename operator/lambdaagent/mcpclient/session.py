"""Finds out how a server is spoken to, and asks it: one request at a time.

The era is found by `server/discover`; a server that does not know it is greeted by the handshake. A session that it
begins is ended when the context is left, because servers keep its state in memory.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.httpclient.errors import BadAnswerError, UpstreamError
from lambdaagent.mcp import client
from lambdaagent.mcp.client import MessageError, Peer, ServerError
from lambdaagent.mcpclient import exchange
from lambdaagent.mcpclient.exchange import StatusError
from lambdaagent.mcpclient.transport import Transport

_LAST_SECONDS = 2.0  # for the end of a session


@dataclass(frozen=True, slots=True)
class Session:
    transport: Transport
    peer: Peer
    limit: int  # bytes of an answer
    seconds: float  # for an answer

    async def ask(self, method: str, params: Json, *, id_: int) -> Json:
        """Return the result. Raises ServerError, UpstreamError."""
        headers, body = client.request(self.peer, method, params, id_=id_)
        message, _ = await exchange.one(self.transport, headers, body, limit=self.limit, seconds=self.seconds)
        return client.result(message)


@asynccontextmanager
async def connected(transport: Transport, *, limit: int, seconds: float) -> AsyncIterator[Session]:
    """Yield a session with the server. Raises ServerError, UpstreamError."""
    peer = await greet(transport, limit=limit, seconds=seconds)
    try:
        yield Session(transport, peer, limit, seconds)
    finally:
        await leave(transport, peer)


async def greet(transport: Transport, *, limit: int, seconds: float) -> Peer:
    """Return the server as it is spoken to; its session is the caller's to leave. Raises ServerError, UpstreamError."""
    headers, body = client.request(client.PROBED, "server/discover", {}, id_=0)
    try:
        message, _ = await exchange.one(transport, headers, body, limit=limit, seconds=seconds)
        found = client.of_discovery(client.result(message))
        if found is not None:
            return found
    except ServerError as error:
        if client.is_modern_only(error):
            raise
    except StatusError as error:
        if not client.says_handshake(error.status):
            raise
    return await shake_hands(transport, limit=limit, seconds=seconds)


async def shake_hands(transport: Transport, *, limit: int, seconds: float) -> Peer:
    """Return a server of the older era, with a session of its own if it keeps sessions. Raises as `greet`."""
    headers, body = client.request(Peer(""), "initialize", client.initialize(), id_=0)
    message, session = await exchange.one(transport, headers, body, limit=limit, seconds=seconds)
    try:
        peer = client.of_handshake(client.result(message), session)
    except MessageError as error:
        raise BadAnswerError(str(error)) from None
    try:
        await exchange.tell(transport, *client.notification(peer, "notifications/initialized"), seconds=seconds)
    except BaseException:
        await leave(transport, peer)
        raise
    return peer


async def leave(transport: Transport, peer: Peer) -> None:
    """End the server's session, if it began one. A server that does not answer keeps it for its own time."""
    if not peer.session:
        return
    try:
        async with (
            asyncio.timeout(_LAST_SECONDS),
            transport.send("DELETE", client.ending(peer), b"", seconds=_LAST_SECONDS),
        ):
            pass
    except (UpstreamError, TimeoutError):
        return
