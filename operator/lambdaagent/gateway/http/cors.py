"""Cross-origin requests of pages in a browser (CORS), for the origins that the access file names.

A response to another origin has no CORS header at all. A preflight carries no credential, so it is answered before
authentication, by the table of routes alone: whether an agent exists makes no difference. Credentials that a browser
sends on its own (cookies, client certificates) are never allowed; the gateway reads none.

On its own machine (`dev`), a gateway allows the pages of this machine too.
"""

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from lambdaagent.access.installation import Cors
from lambdaagent.api import naming
from lambdaagent.gateway.access import limiting
from lambdaagent.gateway.http import urls
from lambdaagent.gateway.http.local_only import is_local_page
from lambdaagent.gateway.services import ROUTE, SERVICES, Services

# What clients of A2A, of skills and of events send. A page needs no permission for the others that it may set.
_SENT = (
    "A2A-Extensions", "A2A-Version", "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match",
    "Last-Event-ID", "Prefer", "traceparent", "tracestate", "X-API-Key", "X-Request-Id",
)  # fmt: skip
# What a page may read of a response, besides what every page may read.
_SHOWN = (
    "A2A-Extensions", "A2A-Version", "ETag", "LambdaAgent-Artifacts", "LambdaAgent-Routed", "Link", "Location",
    "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id",
)  # fmt: skip
_METHODS = ("DELETE", "GET", "HEAD", "POST")


def is_allowed(services: Services, origin: str) -> bool:
    """Return whether pages of the origin may call this gateway."""
    return origin in services.guard.cors.allowed or (services.config.local_only and is_local_page(origin))


async def expose(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of CORS to a response, before it is sent. A cache must not give it to another origin."""
    services = request.app[SERVICES]
    if not (services.guard.cors.allowed or services.config.local_only):
        return
    known = response.headers.get(hdrs.VARY)
    response.headers[hdrs.VARY] = f"{known}, {hdrs.ORIGIN}" if known else hdrs.ORIGIN
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and is_allowed(services, origin):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = ", ".join(_SHOWN)


@web.middleware
async def preflights(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer the preflight of a page that may send the request. Raises ProblemError (429)."""
    if request.method != hdrs.METH_OPTIONS:
        return await handler(request)
    method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
    if method is None:
        return await handler(request)
    services, origin = request.app[SERVICES], request.headers.get(hdrs.ORIGIN, "")
    if not is_allowed(services, origin) or not await _is_served(request, method):
        return await handler(request)
    request[ROUTE] = "preflight"
    limiting.require_peer(services, request)
    return web.Response(status=204, headers=_answer(services.guard.cors, method))


async def _is_served(request: web.Request, method: str) -> bool:
    """Return whether there is a row for a request with the method. On the host of an agent, every path may have one."""
    if method not in _METHODS:
        return False
    services = request.app[SERVICES]
    if naming.may_be_host_of_agent(urls.said_host(request, services)):
        return True
    found = await request.app.router.resolve(request.clone(method=method))
    return found.http_exception is None


def _answer(cors: Cors, method: str) -> dict[str, str]:
    return {
        hdrs.ACCESS_CONTROL_ALLOW_METHODS: method,
        hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ", ".join((*_SENT, *cors.headers)),
        hdrs.ACCESS_CONTROL_MAX_AGE: str(cors.max_age),
    }
