"""The JSON body of an A2A request as UTF-8: by its byte order mark, else by the charset that it declares."""

from aiohttp import web

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.events import charsets
from lambdaagent.gateway.http import bodies


async def json(request: web.Request) -> bytes:
    """Raises A2AError for a charset that is not known or not the body's, and as `bodies.whole`."""
    body = await bodies.whole(request)
    try:
        return charsets.json(body, request.headers.get("Content-Type", ""))
    except charsets.CharsetError as error:
        raise A2AError(Problem.PARSE, f"The request cannot be read: {error}.") from None
