"""The gateway's route table. `agent_routes` has the routes below one agent, by path or by host."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.a2a import well_known
from lambdaagent.gateway import probes
from lambdaagent.gateway.discovery import cards, catalog
from lambdaagent.gateway.events import delivery, ingress

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class RouteTable:
    routes: Sequence[web.RouteDef]
    takes_events: Callable[[str], bool]  # whether `ce-*` headers of a request to a path are an event's attributes
    many_agents: bool  # whether agents are below /agents and on hosts of their own


def table() -> RouteTable:
    """Return the routes of a gateway that serves all agents."""
    events = f"/events/{{namespace:{_LABEL}}}"
    agent, capability = f"{{agent:{_LABEL}}}", "{capability}"
    found = [
        web.get("/healthz", probes.healthz),
        web.get("/readyz", probes.readyz),
        web.get("/metrics", probes.metrics),
        web.get("/agents", catalog.agents),
        web.get(well_known.API_CATALOG, cards.api_catalog),
        web.get(well_known.JWKS, cards.jwks),
        web.post(events, ingress.to_namespace),
        web.post(f"{events}/from/{agent}", ingress.from_agent),
        web.post(f"{events}/from/{agent}/{capability}", ingress.from_agent),
        web.post(f"{events}/to/{agent}", delivery.to_agent),
        web.post(f"{events}/to/{agent}/{capability}", delivery.to_agent),
        web.post(f"{events}/dead-letters", delivery.dead_letters),
        web.post(f"{events}/dead-letters/{capability}", delivery.dead_letters),
        web.post(f"{events}/brokers/{{broker:{_LABEL}}}", ingress.to_broker),
    ]
    return RouteTable(found, takes_events=lambda path: path.startswith("/events/"), many_agents=True)
