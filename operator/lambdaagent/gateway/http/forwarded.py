"""The headers in which a proxy says what it received (`X-Forwarded-*`).

A proxy replaces what its client sent, or appends to it, in the same line or in another one. Invariant: only the last
value is the proxy's word; those before are the client's.
"""

from aiohttp import web


def last(request: web.Request, name: str) -> str:
    """Return the last value of a header, empty if there is none."""
    given = request.headers.getall(name, ())
    return given[-1].rpartition(",")[2].strip() if given else ""
