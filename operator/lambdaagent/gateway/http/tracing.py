"""W3C trace context: the gateway propagates it and never creates one."""

import re
from dataclasses import replace

from aiohttp import web

from lambdaagent.events.cloudevents import Event

_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?")


def parent(request: web.Request) -> str | None:
    """Return the request's traceparent. A malformed one is dropped, as Trace Context 1, section 4.3 requires."""
    given = request.headers.get("traceparent")
    return given if given is not None and _PARENT.fullmatch(given) else None


def traced(event: Event, request: web.Request) -> Event:
    """Return the event with the request's trace, unless it has its own (CloudEvents' distributed tracing extension)."""
    if "traceparent" in event.extensions or (found := parent(request)) is None:
        return event
    return replace(event, extensions={**event.extensions, "traceparent": found})
