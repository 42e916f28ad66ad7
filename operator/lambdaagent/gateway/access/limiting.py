"""Refuses requests above a rate: of a peer before its credential is verified, of a principal and for an agent after.

What one caller sends never counts against another one. Callers without a credential are one principal, so they share
its rate.
"""

from math import ceil

from aiohttp import web

from lambdaagent.access.rates import Rate
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES


def require_peer(request: web.Request) -> None:
    """Raises ProblemError (429) above the rate of the address that the request comes from."""
    rate = request.app[SERVICES].guard.limits.per_peer
    if rate is not None:
        _take(request, ("peer", request.remote), rate, "one address")


def require_principal(request: web.Request, name: str) -> None:
    """Raises ProblemError (429) above the rate of a principal."""
    rate = request.app[SERVICES].guard.limits.per_principal
    if rate is not None:
        _take(request, ("principal", name), rate, "one caller")


def require_agent(request: web.Request, entry: Entry, caller: str) -> None:
    """Raises ProblemError (429) above the rate of the agent, or of the principal at this agent."""
    services = request.app[SERVICES]
    limits = services.guard.limits
    own = entry.rate
    if own is None and limits.per_agent is None:
        return
    if own is not None:
        _take(request, ("caller", caller, entry.key), own, f"one caller at the agent {entry.agent.key}")
    if limits.per_agent is not None:
        _take(request, ("agent", entry.key), limits.per_agent, f"the agent {entry.agent.key}")


def _take(request: web.Request, key: tuple[object, ...], rate: Rate, what: str) -> None:
    services = request.app[SERVICES]
    wait = services.buckets.take(key, rate, now=services.clock.now())
    if wait:
        raise refusal(what, rate, wait)


def refusal(what: str, rate: Rate, wait: float) -> ProblemError:
    """Return the 429 (RFC 6585 section 4), with the headers of draft-ietf-httpapi-ratelimit-headers."""
    seconds = ceil(wait)
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"requests";q={rate.per_minute};w=60',
        "RateLimit": f'"requests";r=0;t={seconds}',
    }
    detail = f"The limit of {rate.per_minute} requests a minute of {what} is reached; send again in {seconds} s."
    return ProblemError(429, "rate-limited", detail, headers=headers)
