"""Refuses what a proxy in front and this server may read differently: such a request could pass a check by one reading
and be served by the other.

The checks see the request target as it was sent. aiohttp decodes `%2f` within a segment, so a namespace could hold a
slash, and it takes the host of `GET http://host/ HTTP/1.1` for the request's.
"""

import re
from functools import lru_cache

from aiohttp import web

from lambdaagent.gateway.http.problems import ProblemError

_ODD = re.compile(r"%(?:2f|5c|00)|[\\\x00-\x20\x7f]|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
_SINGLE = ("Authorization", "X-API-Key")  # aiohttp refuses other headers that must not be repeated


def require_plain(request: web.Request) -> None:
    """Raises ProblemError (400) without a part of the request in it."""
    path = request.raw_path.partition("?")[0]
    if not path.startswith("/"):
        raise ProblemError(400, "bad-target", "Send the path alone in the request line, and the host in Host.")
    if _is_odd(path):
        detail = "The path has an encoded slash, a backslash, a control character, an empty segment or a dot segment."
        raise ProblemError(400, "bad-path", detail)
    headers = request.headers
    for name in _SINGLE:
        if name in headers and len(headers.getall(name)) > 1:
            raise ProblemError(400, "repeated-header", f"The request has more than one header {name}; send one.")


@lru_cache(1024)
def _is_odd(path: str) -> bool:
    """Most requests have a path that another one had."""
    return _ODD.search(path) is not None
