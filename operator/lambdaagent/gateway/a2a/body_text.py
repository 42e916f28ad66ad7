"""Reads the JSON body of an A2A request as UTF-8, by its byte order mark or else by its declared charset."""

from aiohttp import web

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.events import charsets
from lambdaagent.gateway.http import bodies


async def json(request: web.Request) -> bytes:
    """Return the body. Raises A2AError if the charset is unknown or does not match the body, and as `bodies.whole`."""
    body = await bodies.whole(request)
    try:
        return charsets.json(body, request.headers.get("Content-Type", ""))
    except charsets.CharsetError as error:
        raise A2AError(Problem.PARSE, f"The request cannot be read: {error}.") from None
