"""The request's id: in the answer, in the logs, and on the way to the container."""

import re

from aiohttp import web

from lambdaagent.gateway.services import REQUEST_ID, SERVICES

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(request: web.Request) -> str:
    """The client's own where it can stand in a header and a log, else a new one."""
    known = request.get(REQUEST_ID)
    if known is None:
        given = request.headers.get("X-Request-Id", "")
        if not given or not _ID.fullmatch(given):
            given = request.app[SERVICES].clock.new_mark()
        known = request[REQUEST_ID] = given
    return known


def say(request: web.Request, response: web.StreamResponse) -> None:
    """Before the head goes out: of a streamed answer its handler does it, of any other the outermost middleware."""
    response.headers["X-Request-Id"] = request_id(request)
