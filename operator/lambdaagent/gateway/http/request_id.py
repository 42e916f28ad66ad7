"""The id of a request, which its response, its log lines and the request to the container carry."""

import re

from aiohttp import web

from lambdaagent.gateway.services import REQUEST_ID, SERVICES

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def request_id(request: web.Request) -> str:
    """Return the client's id if it is safe in a header and a log, else a new one."""
    known = request.get(REQUEST_ID)
    if known is None:
        given = request.headers.get("X-Request-Id", "")
        if not given or not _ID.fullmatch(given):
            given = request.app[SERVICES].clock.new_mark()
        known = request[REQUEST_ID] = given
    return known


def say(request: web.Request, response: web.StreamResponse) -> None:
    """Write the id to the response before its head is sent.

    The handler of a streamed response calls this itself; the outermost middleware does so for the others.
    """
    response.headers["X-Request-Id"] = request_id(request)
