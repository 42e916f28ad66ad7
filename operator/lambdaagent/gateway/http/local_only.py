"""Serves this machine only: refuses requests that a page in a browser sends, or that name another host.

A gateway on loopback without access control is reached by every page that the user opens: by a request to its address
(the browser adds `Origin`), or under a name of the page's own that resolves to 127.0.0.1 (DNS rebinding). The host name
of the second kind is foreign, whatever the address is.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from lambdaagent.api import naming
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d+)?")


@web.middleware
async def local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises ProblemError (403)."""
    if not is_local(request.headers.get("Host", "")):
        detail = "This gateway serves its own machine only, and the request names another host. Use localhost."
        raise ProblemError(403, "foreign-host", detail)
    origin = request.headers.get("Origin")
    if origin is not None and not _is_served(request, origin):
        raise ProblemError(403, "foreign-origin", "This gateway serves no pages of other sites.")
    return await handler(request)


def _is_served(request: web.Request, origin: str) -> bool:
    return origin in request.app[SERVICES].guard.cors.allowed or is_local_page(origin)


def is_local_page(origin: str) -> bool:
    """Return whether an origin is that of a page which this machine serves."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and is_loopback(parts.netloc)


def is_local(host: str) -> bool:
    """Return whether a Host header names this machine, or an agent by its name in the cluster."""
    return is_loopback(host) or naming.may_be_host_of_agent(_name(host))


def is_loopback(host: str) -> bool:
    """Return whether a host with or without a port names this machine, for every resolver."""
    name = _name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    found = _HOST.fullmatch(host)
    return found[1].lower().rstrip(".") if found else ""
