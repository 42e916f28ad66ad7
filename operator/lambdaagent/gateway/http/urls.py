"""The URLs that clients are told: the configured public base, else the host by which they came.

A Host header is the client's to choose and ends up in cards, so it must look like a host. X-Forwarded-* is believed
only where the installation says that a proxy of its own sets it.
"""

import re

from aiohttp import web

from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import ENTRY, SERVICES, Services

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")


def said_host(request: web.Request, services: Services) -> str:
    """As the client said it, or as the trusted proxy says that it did; to be looked up, not to be repeated."""
    found = request.headers.get("Host", "")
    if services.trust_forwarded:
        found = request.headers.get("X-Forwarded-Host", found).partition(",")[0].strip()
    return found


def host(request: web.Request) -> str:
    found = said_host(request, request.app[SERVICES])
    if not _HOST.fullmatch(found):
        raise ProblemError(400, "bad-host", "The request's Host header is not a host name.")
    return found


def base(request: web.Request) -> str:
    """Without a slash at its end."""
    services = request.app[SERVICES]
    if services.public_url:
        return services.public_url
    scheme, prefix = request.scheme, ""
    if services.trust_forwarded:
        if request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower() == "https":
            scheme = "https"
        given = request.headers.get("X-Forwarded-Prefix", "")
        prefix = given.rstrip("/") if _PREFIX.fullmatch(given) else ""
    return f"{scheme}://{host(request)}{prefix}"


def agent(request: web.Request, entry: Entry) -> str:
    """The agent's own base: cards are below it. On its own host there is no prefix."""
    own_host = request.get(ENTRY) is entry and not request.app[SERVICES].public_url
    return base(request) + ("" if own_host else entry.prefix)


def endpoint(request: web.Request, entry: Entry) -> str:
    return agent(request, entry) + entry.base_path
