"""Refuses what a proxy in front and this server may read differently: such a request could pass a check by one reading
and be served by the other.

The checks see the request target as it was sent. aiohttp decodes `%2f` within a segment, so a namespace could hold a
slash, and it takes the host of `GET http://host/ HTTP/1.1` for the request's.
"""

import re

from aiohttp import web

from lambdaagent.gateway.http.problems import ProblemError

_ODD = re.compile(r"%(?:2f|5c|00)|[\\\x00-\x20\x7f]|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
# Most paths, at a third of the other pattern's cost; those of dot segments are below it.
_USUAL = re.compile(r"[A-Za-z0-9/._:~-]+")
_SINGLE = ("Authorization", "X-API-Key")  # aiohttp refuses other headers that must not be repeated


def require_plain(request: web.Request) -> None:
    """Raises ProblemError (400) without a part of the request in it."""
    path = request.raw_path.partition("?")[0]
    usual = _USUAL.fullmatch(path) is not None and "//" not in path and "/." not in path
    if not path.startswith("/"):
        raise ProblemError(400, "bad-target", "Send the path alone in the request line, and the host in Host.")
    if not usual and _ODD.search(path):
        detail = "The path has an encoded slash, a backslash, a control character, an empty segment or a dot segment."
        raise ProblemError(400, "bad-path", detail)
    for name in _SINGLE:
        if len(request.headers.getall(name, ())) > 1:
            raise ProblemError(400, "repeated-header", f"The request has more than one header {name}; send one.")
