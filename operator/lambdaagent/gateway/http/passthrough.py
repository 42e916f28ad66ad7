"""Streams a container's response to the client in chunks."""

import structlog
from aiohttp import web

from lambdaagent.errors import words
from lambdaagent.gateway.http import request_id
from lambdaagent.gateway.services import SERVICES, WHY
from lambdaagent.httpclient import wire
from lambdaagent.httpclient.client import Response

log = structlog.get_logger(__name__)


async def stream(request: web.Request, response: Response, *, agent: str) -> web.StreamResponse:
    streamed = web.StreamResponse(status=response.status, headers=wire.end_to_end(response.headers))
    request_id.say(request, streamed)
    await streamed.prepare(request)
    try:
        async for chunk in response:
            await streamed.write(chunk)
    except ConnectionError:
        raise  # the client disconnected
    except Exception as error:
        # The container ended its response early, or the rest of the request's body is broken or too long. The status is
        # already sent, and a second response would be read as part of this one. Only an aborted connection shows the
        # client that the response is incomplete.
        request.app[SERVICES].metrics.error("truncated-answer")
        request[WHY] = f"The response of {agent} was cut off: {words(error)}."
        log.warning("response.truncated", agent=agent, error=words(error))
        if request.transport is not None:
            request.transport.abort()
        return streamed
    await streamed.write_eof()
    return streamed
