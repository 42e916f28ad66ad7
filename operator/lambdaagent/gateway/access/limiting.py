"""Refuses requests above a rate: of a peer before its credential is verified, of a principal and for an agent after.

A source whose credentials were refused too often waits before another one is verified: that costs time, and a password
could be guessed. Credentials that were verified a short while ago are accepted meanwhile.

What one caller sends never counts against another one. Callers without a credential are one principal, so they share
its rate.

In a sidecar, what the gateway sends counts nowhere: the gateway has counted it, all its callers come from its address,
and it asks for a task as often as it needs to.
"""

from math import ceil

from aiohttp import web

from lambdaagent.access.principal import GATEWAY, Principal
from lambdaagent.access.rates import Rate
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import peers
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import Services


def require_peer(services: Services, request: web.Request) -> None:
    """Raises ProblemError (429) above the rate of the address that the request comes from."""
    rate = services.guard.limits.per_peer
    if rate is not None and (wait := _take(services, ("peer", peers.peer(request)), rate)):
        raise refusal("requests of one address", rate, wait)


def require_few_refused(services: Services, request: web.Request) -> None:
    """Raises ProblemError (429) if too many credentials of the source were refused."""
    rate = services.guard.limits.refused
    if rate is None:
        return
    if wait := services.buckets.wait(("refused", peers.source(request)), rate, now=services.clock.now()):
        raise refusal("refused credentials of one source", rate, wait)


def count_refused(services: Services, request: web.Request) -> None:
    if (rate := services.guard.limits.refused) is not None:
        services.buckets.count(("refused", peers.source(request)), rate, now=services.clock.now())


def require_principal(services: Services, principal: Principal) -> None:
    """Raises ProblemError (429) above the rate of a principal."""
    rate = services.guard.limits.per_principal or services.config.caller_rate
    if rate is None or principal.source == GATEWAY:
        return
    if wait := _take(services, ("principal", principal.name), rate):
        raise refusal("requests of one caller", rate, wait)


def require_agent(services: Services, entry: Entry, principal: Principal) -> None:
    """Raises ProblemError (429) above the rate of the agent, or of the principal at this agent."""
    if principal.source == GATEWAY:
        return
    caller = principal.name
    own, of_all = entry.rate, services.guard.limits.per_agent
    if own is not None and (wait := _take(services, ("caller", caller, entry.key), own)):
        raise refusal(f"requests of one caller at the agent {entry.agent.key}", own, wait)
    if of_all is not None and (wait := _take(services, ("agent", entry.key), of_all)):
        raise refusal(f"requests to the agent {entry.agent.key}", of_all, wait)


def require_skill(services: Services, entry: Entry, principal: Principal, skill: str | None) -> None:
    """Raises ProblemError (429) above the rate of the principal at the skill."""
    rate = entry.skill_rates.get(skill) if skill is not None else None
    if rate is None or principal.source == GATEWAY:
        return
    if wait := _take(services, ("skill", principal.name, entry.key, skill), rate):
        raise refusal(f"calls of one caller to the skill {skill} of the agent {entry.agent.key}", rate, wait)


def _take(services: Services, key: tuple[object, ...], rate: Rate) -> float:
    return services.buckets.take(key, rate, now=services.clock.now())


def refusal(what: str, rate: Rate, wait: float) -> ProblemError:
    """Return the 429 (RFC 6585 section 4), with the headers of draft-ietf-httpapi-ratelimit-headers."""
    seconds = ceil(wait)
    headers = {
        "Retry-After": str(seconds),
        "RateLimit-Policy": f'"requests";q={rate.per_minute};w=60',
        "RateLimit": f'"requests";r=0;t={seconds}',
    }
    detail = f"The limit of {rate.per_minute} a minute for {what} is reached; send again in {seconds} s."
    return ProblemError(429, "rate-limited", detail, headers=headers)
