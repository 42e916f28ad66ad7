"""Problem documents for requests that the server refuses before a handler gets them.

An attribute of an event that is too large gets 413, as every event that is too large (docs/guides/events.md); any other
header that is too large gets 431. Neither response repeats a part of the request.
"""

from collections.abc import Callable

from aiohttp import web

from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.http_server import Refused

_ATTRIBUTE = "ce-"


def problem(app: web.Application, takes_events: Callable[[str], bool]) -> Callable[[Refused], web.Response]:
    """`takes_events` returns whether `ce-*` headers of a request to a path are the attributes of an event."""

    def answer(refused: Refused) -> web.Response:
        services = app[SERVICES]
        status, kind, detail = refused.status, refused.kind, refused.detail
        if refused.header.startswith(_ATTRIBUTE) and takes_events(refused.path):
            status, kind = 413, "event-too-large"
            detail = f"An attribute of the event is over the limit of {services.config.max_header} bytes."
        services.metrics.request("refused", status, 0.0)
        request_id = services.clock.new_mark()
        response = ProblemError(status, kind, detail).response(request_id=request_id)
        response.headers["X-Request-Id"] = request_id
        return response

    return answer
