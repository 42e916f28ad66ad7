"""The caching headers of responses that depend on the caller: no shared cache may give them to somebody else."""

from aiohttp import web

from lambdaagent.gateway.services import SERVICES

CREDENTIALS = "Authorization, X-API-Key"  # the headers that tell callers apart
_PRIVATE = {"Cache-Control": "private", "Vary": CREDENTIALS}


def of_caller(request: web.Request) -> dict[str, str]:
    """Return the headers of a response that its caller alone may see; none where nobody is told apart."""
    return {} if request.app[SERVICES].guard.off else dict(_PRIVATE)
