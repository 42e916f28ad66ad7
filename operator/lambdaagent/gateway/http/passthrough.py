"""An answer of a container, chunk by chunk to the client, when it is not the short kind that is here already."""

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
        raise  # of the client's own
    except Exception as error:
        # The container's end, or the client's own body that is broken or too long while its answer has begun. The
        # status is out, and another answer would stand in the middle of this one. Ending the connection is the only
        # way left to say that this is not the whole.
        request.app[SERVICES].metrics.error("truncated-answer")
        request[WHY] = f"The answer of {agent} was cut: {words(error)}."
        log.warning("answer truncated", agent=agent, reason=words(error))
        if request.transport is not None:
            request.transport.abort()
        return streamed
    await streamed.write_eof()
    return streamed
