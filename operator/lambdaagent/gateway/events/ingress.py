"""Handlers that accept events: from any producer to a namespace, to one Broker, and from an agent's container.

Invariant: the response 202 follows the broker's confirm. An event of an agent that carries a task's id first advances
the task and is then published, so that a sender that repeats it after a failure advances the task only once (design
section 4: store first).
"""

import asyncio
import time
from collections.abc import Sequence

from aiohttp import web

from lambdaagent.events import http
from lambdaagent.events.capability import Use
from lambdaagent.events.cloudevents import Event
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.events import capabilities
from lambdaagent.gateway.http import bodies, tracing
from lambdaagent.gateway.http.problems import ProblemError, unknown_agent
from lambdaagent.gateway.services import SERVICES, Services

ROUTED = "LambdaAgent-Routed"
_SLICE = 0.01  # seconds of parsing after which other requests are served
_AT_ONCE = 100


async def to_namespace(request: web.Request) -> web.Response:
    return await to(request, request.match_info["namespace"])


async def to(request: web.Request, namespace: str) -> web.Response:
    """Accept events for the shared Broker of a namespace, in which the caller may publish."""
    services = request.app[SERVICES]
    exchange = services.exchanges.shared(namespace)
    return await accepted(services, await read(request), exchange=exchange, refuse=services.config.refuse_unrouted)


async def to_broker(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    exchange = services.exchanges.broker(request.match_info["namespace"], request.match_info["broker"])
    return await accepted(services, await read(request), exchange=exchange, refuse=services.config.refuse_unrouted)


async def from_agent(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    namespace, agent = request.match_info["namespace"], request.match_info["agent"]
    capabilities.require(request, use=Use.FROM, agent=agent)
    entry = services.directory.get(namespace, agent)
    if entry is None:
        raise unknown_agent(namespace, agent)
    return await take(request, entry)


async def take(request: web.Request, entry: Entry) -> web.Response:
    """Accept events from an agent. The caller has checked that the sender may act as the agent."""
    services, agent = request.app[SERVICES], entry.agent
    events = await read(request)
    for event in events:
        await services.tasks.advance(event, namespace=agent.namespace, agent=agent.name)
        await asyncio.sleep(0)
    return await accepted(services, events, exchange=services.exchanges.agent(agent))


async def read(request: web.Request) -> list[Event]:
    return await parse(request, await bodies.whole(request))


async def parse(request: web.Request, body: bytes) -> list[Event]:
    """Return the events of a body. Other requests are served while a large batch is parsed. Raises EventError."""
    events: list[Event] = []
    began = time.perf_counter()
    for event in http.read_each(request.headers, body, most=request.app[SERVICES].config.max_batch):
        events.append(tracing.traced(event, request))
        if time.perf_counter() - began > _SLICE:
            await asyncio.sleep(0)
            began = time.perf_counter()
    return events


async def accepted(services: Services, events: Sequence[Event], *, exchange: str, refuse: bool = False) -> web.Response:
    """Publish all events and answer 202, or raise an error.

    A batch that is sent again repeats some of its events, which delivery at least once permits.
    """
    routed = await publish(services, events, exchange=exchange)
    if refuse and not routed:
        services.directory.require_listed()
        types = sorted({event.type[:200] for event in events})[:5]
        detail = f"No agent subscribes to events of type {', '.join(types)}; add a subscription, or send another type."
        raise ProblemError(404, "unrouted", detail)
    return web.Response(status=202, headers={ROUTED: str(routed)})


async def publish(services: Services, events: Sequence[Event], *, exchange: str) -> int:
    if len(events) == 1:
        routed = int(await services.publisher.publish(events[0], exchange=exchange))
    else:
        # Every confirm is awaited before the first failure is raised, so that no publish outlives the request.
        routed = 0
        for first in range(0, len(events), _AT_ONCE):
            outcomes = await asyncio.gather(
                *(services.publisher.publish(event, exchange=exchange) for event in events[first : first + _AT_ONCE]),
                return_exceptions=True,
            )
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            routed += sum(1 for outcome in outcomes if outcome)
    services.metrics.ingress("routed", routed)
    services.metrics.ingress("unrouted", len(events) - routed)
    return routed
