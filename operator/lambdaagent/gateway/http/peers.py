"""The address that a request comes from: that of the connection, or the one that a trusted proxy reports."""

from ipaddress import ip_address

from aiohttp import web

from lambdaagent.gateway.http import forwarded
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
    return forwarded.last(request, _FORWARDED)[:_LONGEST]


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
