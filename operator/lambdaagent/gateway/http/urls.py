"""The URLs in responses: below the configured public base, else below the host of the request.

Clients choose the Host header, and it appears in cards, so it must have the form of a host. X-Forwarded-* is used only
if the settings state that a trusted proxy sets it.
"""

import re

from aiohttp import web

from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import forwarded
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import ENTRY, SERVICES, Services

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")


def said_host(request: web.Request, services: Services) -> str:
    """Return the Host header, or the one that a trusted proxy reports. It is unchecked: use it for look-ups only."""
    found = request.headers.get("Host", "")
    return forwarded.last(request, "X-Forwarded-Host") or found if services.config.trust_forwarded else found


def host(request: web.Request) -> str:
    found = said_host(request, request.app[SERVICES])
    if not _HOST.fullmatch(found):
        raise ProblemError(400, "bad-host", "The request's Host header is not a host name.")
    return found


def base(request: web.Request) -> str:
    """Return the base of all URLs, without a slash at its end."""
    services = request.app[SERVICES]
    if services.config.public_url:
        return services.config.public_url
    scheme, prefix = request.scheme, ""
    if services.config.trust_forwarded:
        if forwarded.last(request, "X-Forwarded-Proto").lower() == "https":
            scheme = "https"
        given = forwarded.last(request, "X-Forwarded-Prefix")
        prefix = given.rstrip("/") if _PREFIX.fullmatch(given) else ""
    return f"{scheme}://{host(request)}{prefix}"


def agent(request: web.Request, entry: Entry) -> str:
    """Return the base of the agent's URLs, which its card is below. On the agent's own host it has no prefix."""
    own_host = request.get(ENTRY) is entry and not request.app[SERVICES].config.public_url
    return base(request) + ("" if own_host else entry.prefix)


def endpoint(request: web.Request, entry: Entry) -> str:
    return agent(request, entry) + entry.base_path
