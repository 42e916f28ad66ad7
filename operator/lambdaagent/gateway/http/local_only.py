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

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::\d+)?")


@web.middleware
async def local_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raises ProblemError (403)."""
    if not is_local(request.headers.get("Host", "")):
        detail = "This gateway serves its own machine only, and the request names another host. Use localhost."
        raise ProblemError(403, "foreign-host", detail)
    origin = request.headers.get("Origin")
    if origin is not None and not is_local(urlsplit(origin).netloc):
        raise ProblemError(403, "foreign-origin", "This gateway serves no pages of other sites.")
    return await handler(request)


def is_local(host: str) -> bool:
    """Return whether a Host header names this machine, or an agent by its name in the cluster."""
    found = _HOST.fullmatch(host)
    name = found[1].lower().rstrip(".") if found else ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return naming.may_be_host_of_agent(name)
