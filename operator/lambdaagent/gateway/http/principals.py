"""The principal of a request: set once per request, and read by handlers that create or look up owned objects."""

from aiohttp import web
from aiohttp.typedefs import Handler

from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.gateway.http import tracing
from lambdaagent.store.records import ANONYMOUS
from lambdaagent.tasks.requests import Requester

PRINCIPAL = web.RequestKey("principal", str)
ONCE = "Idempotency-Key"
_ONCE_LIMIT = 255


@web.middleware
async def principals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Set the principal, which is anonymous for every request: clients are not distinguished yet."""
    request[PRINCIPAL] = ANONYMOUS
    return await handler(request)


def client(request: web.Request) -> Requester:
    """Return the requester. Raises A2AError for an idempotency key that is too long or not printable."""
    idempotency_key = request.headers.get(ONCE) or None
    if idempotency_key is not None and (len(idempotency_key) > _ONCE_LIMIT or not idempotency_key.isprintable()):
        raise invalid(Violation(ONCE, f"must be at most {_ONCE_LIMIT} printable characters"))
    return Requester(owner=request[PRINCIPAL], traceparent=tracing.parent(request), idempotency_key=idempotency_key)
