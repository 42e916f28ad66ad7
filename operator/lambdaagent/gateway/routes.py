"""The gateway's route table. `agent_routes` has the routes below one agent, by path or by host."""

from aiohttp import web

from lambdaagent.a2a.signing import JWKS_PATH
from lambdaagent.gateway import probes
from lambdaagent.gateway.discovery import cards, catalog
from lambdaagent.gateway.events import delivery, ingress

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


def routes() -> list[web.RouteDef]:
    events = f"/events/{{namespace:{_LABEL}}}"
    agent, capability = f"{{agent:{_LABEL}}}", "{capability}"
    return [
        web.get("/healthz", probes.healthz),
        web.get("/readyz", probes.readyz),
        web.get("/metrics", probes.metrics),
        web.get("/agents", catalog.agents),
        web.get("/.well-known/api-catalog", cards.api_catalog),
        web.get(JWKS_PATH, cards.jwks),
        web.post(events, ingress.to_namespace),
        web.post(f"{events}/from/{agent}", ingress.from_agent),
        web.post(f"{events}/from/{agent}/{capability}", ingress.from_agent),
        web.post(f"{events}/to/{agent}", delivery.to_agent),
        web.post(f"{events}/to/{agent}/{capability}", delivery.to_agent),
        web.post(f"{events}/dead-letters", delivery.dead_letters),
        web.post(f"{events}/dead-letters/{capability}", delivery.dead_letters),
        web.post(f"{events}/brokers/{{broker:{_LABEL}}}", ingress.to_broker),
    ]


def takes_events(path: str) -> bool:
    """Return whether `ce-*` headers of a request to this path are the attributes of an event."""
    return path.startswith("/events/")
