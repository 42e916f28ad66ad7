"""The address that a request comes from: that of the connection, or the one that a trusted proxy reports.

A proxy appends the address of its client to X-Forwarded-For, so only the last one is its word; those before are the
client's.
"""

from ipaddress import ip_address

from aiohttp import web

from lambdaagent.gateway.services import SERVICES

_FORWARDED = "X-Forwarded-For"
_LONGEST = 45  # characters of an IPv6 address


def peer(request: web.Request) -> str:
    if request.app[SERVICES].config.trust_forwarded and (found := _address(_last(request))):
        return found
    return request.remote or ""


def source(request: web.Request) -> str:
    """Return what tells clients behind one proxy apart, trusted or not.

    Hazard: a client that reaches the gateway directly chooses a part of it.
    """
    return f"{request.remote} {_last(request)}"


def _last(request: web.Request) -> str:
    given = request.headers.getall(_FORWARDED, ())
    return given[-1].rpartition(",")[2].strip()[:_LONGEST] if given else ""


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
