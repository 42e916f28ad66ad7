"""The caching of responses. Those that depend on the caller may not be given to somebody else by a shared cache."""

from email.utils import parsedate_to_datetime
from hashlib import sha256

from aiohttp import web

from lambdaagent.gateway.services import SERVICES

CREDENTIALS = "Authorization, X-API-Key"  # the headers that tell callers apart
_PRIVATE = {"Cache-Control": "private", "Vary": CREDENTIALS}
_MAX_AGE = "max-age=60"


def of_caller(request: web.Request) -> dict[str, str]:
    """Return the headers of a response that its caller alone may see; none where nobody is told apart."""
    return {} if request.app[SERVICES].guard.off else dict(_PRIVATE)


def validated(request: web.Request, body: bytes, *, content_type: str) -> web.Response:
    """Return the response with a validator of the body, which is what this caller may see; 304 if the client has it."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = of_caller(request)
    headers["Cache-Control"] = f"{headers.get('Cache-Control', 'public')}, {_MAX_AGE}"
    headers["ETag"] = etag
    if is_fresh(request, etag=etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=content_type, headers=headers)


def is_fresh(request: web.Request, *, etag: str, last_modified: str = "") -> bool:
    """Return whether the client's copy is current (RFC 9110 13.1).

    If-None-Match compares weakly and takes precedence over If-Modified-Since.
    """
    given = request.headers.get("If-None-Match")
    if given is not None:
        bare = etag.removeprefix("W/")
        return given.strip() == "*" or bare in [each.strip().removeprefix("W/") for each in given.split(",")]
    since = request.headers.get("If-Modified-Since")
    if since is None or not last_modified:
        return False
    try:
        return parsedate_to_datetime(since) >= parsedate_to_datetime(last_modified)
    except (ValueError, TypeError):
        return False
