"""The routes of the gateway. aiohttp's routes and the OpenAPI document are made from these rows.

Invariant: nothing is served without a row, so no request is let in by omission. `agent_routes` has the rows below one
agent, by path or by host.
"""

from collections.abc import Sequence
from functools import partial

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import well_known
from lambdaagent.access.actions import Action, Credential
from lambdaagent.coordination.catalog_names import BASE
from lambdaagent.gateway import probes
from lambdaagent.gateway.access import explaining, metadata
from lambdaagent.gateway.discovery import ai_catalog, ard, cards, catalog
from lambdaagent.gateway.events import delivery, ingress
from lambdaagent.gateway.mcp import endpoint
from lambdaagent.gateway.routes import coordination_routes, openapi
from lambdaagent.gateway.routes.agent_routes import AGENT_ROUTES
from lambdaagent.gateway.routes.route_types import Handler, Route, RouteTable

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


OBSERVED = partial(Route, method="GET", action=Action.OBSERVE, credential=Credential.NONE)
_DISCOVERED = partial(Route, method="GET", action=Action.DISCOVER, credential=Credential.CALLER)
_PUBLISHED = partial(Route, method="POST", action=Action.PUBLISH, credential=Credential.CALLER)


def table(*, apart: bool = False) -> RouteTable:
    """Return the routes of a gateway that serves all agents. `apart`: its probes and metrics have a port of their own.

    The OpenAPI document describes what the port that serves it serves.
    """
    observed = _observed()
    found = [*(() if apart else observed), *_discovered(), *coordination_routes.routes(), *_events()]
    found.append(_openapi(found))
    return RouteTable(
        found,
        takes_events=lambda path: path == "/a2a" or path.startswith("/events/"),
        many_agents=True,
        observed=observed if apart else (),
    )


def _openapi(rows: Sequence[Route]) -> Route:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=media_types.JSON)

    summary = "This interface as an OpenAPI 3.1 document"
    row = _DISCOVERED(name="openapi", path="/openapi.json", handler=serve, summary=summary)
    body = orjson.dumps(openapi.document([*rows, row], AGENT_ROUTES))
    return row


def _observed() -> list[Route]:
    ready = "Whether the gateway can serve, or why not"
    return [
        OBSERVED(name="healthz", path="/healthz", handler=probes.healthz, summary="Whether the process runs"),
        OBSERVED(name="readyz", path="/readyz", handler=probes.readyz, summary=ready),
        OBSERVED(name="metrics", path="/metrics", handler=probes.metrics, summary="Metrics in Prometheus's format"),
    ]


def protected_resources() -> list[Route]:
    summary = "How to get a credential (RFC 9728), for the gateway or for an agent"
    row = partial(_DISCOVERED, handler=metadata.protected_resource, credential=Credential.NONE, summary=summary)
    return [
        row(name="protected-resource", path=well_known.PROTECTED_RESOURCE),
        row(name="protected-resource-of", path=f"{well_known.PROTECTED_RESOURCE}{{resource:/.*}}"),
    ]


def _discovered() -> list[Route]:
    listed = "The agents, by page, or as a stream of changes (text/event-stream)"
    served = "The skills of agents as tools of the Model Context Protocol; calls are `invoke`"
    tools = partial(_DISCOVERED, method="POST", summary=served)
    explained = "What would be decided about the caller, or for an administrator about anybody, and why"
    linked, keys = "The agents as a link set (RFC 9727)", "The keys that verify the gateway's signatures (RFC 7517)"
    return [
        _DISCOVERED(name="agents", path="/agents", handler=catalog.agents, summary=listed),
        tools(name="mcp", path="/mcp", handler=endpoint.platform),
        tools(name="mcp-namespace", path=f"/mcp/{{namespace:{_LABEL}}}", handler=endpoint.of_namespace),
        _DISCOVERED(name="access-explain", path="/access/explain", handler=explaining.explain, summary=explained),
        _DISCOVERED(name="api-catalog", path=well_known.API_CATALOG, handler=cards.api_catalog, summary=linked),
        _DISCOVERED(name="jwks", path=well_known.JWKS, handler=cards.jwks, summary=keys, credential=Credential.NONE),
        *protected_resources(),
        *_found(),
    ]


def _found() -> list[Route]:
    listed, found = "The agents as an AI Catalog", "Find agents by a question (ARD); best first, with the reason"
    entries, entry = "The agents as entries of the AI Catalog (ARD), by page", "One entry of the AI Catalog (ARD)"
    return [
        _DISCOVERED(name="ai-catalog", path=well_known.AI_CATALOG, handler=ai_catalog.serve, summary=listed),
        _DISCOVERED(name="ard-manifest", path=well_known.ARD, handler=ai_catalog.serve, summary=listed),
        _DISCOVERED(name="ard-search", method="POST", path=f"{BASE}/search", handler=ard.search, summary=found),
        _DISCOVERED(name="ard-agents", path=f"{BASE}/agents", handler=ard.agents, summary=entries),
        _DISCOVERED(name="ard-agent", path=f"{BASE}/agents/{{identifier}}", handler=ard.agent, summary=entry),
    ]


def _events() -> list[Route]:
    events, agent = f"/events/{{namespace:{_LABEL}}}", f"{{agent:{_LABEL}}}"
    shared, one = "Publish CloudEvents to the shared Broker of a namespace", "Publish CloudEvents to a Broker"
    broker = f"{events}/brokers/{{broker:{_LABEL}}}"
    sent = "Publish CloudEvents as an agent; the gateway first applies them to the task that they name"
    delivered, stored = "Deliver CloudEvents to an agent", "Store CloudEvents that could not be delivered"
    return [
        _PUBLISHED(name="events", path=events, handler=ingress.to_namespace, summary=shared),
        *_with_capability("events-from", Action.EMIT, f"{events}/from/{agent}", ingress.from_agent, sent),
        *_with_capability("events-to", Action.DELIVER, f"{events}/to/{agent}", delivery.to_agent, delivered),
        *_with_capability(
            "events-dead-letters",
            Action.STORE_DEAD_LETTERS,
            f"{events}/dead-letters",
            delivery.dead_letters,
            stored,
        ),
        _PUBLISHED(name="events-broker", path=broker, handler=ingress.to_broker, summary=one),
    ]


def _with_capability(name: str, action: Action, path: str, handler: Handler, summary: str) -> list[Route]:
    """Return the rows of a URL whose last segment may be a capability."""
    row = partial(
        Route,
        name=name,
        method="POST",
        handler=handler,
        action=action,
        credential=Credential.CAPABILITY,
        summary=summary,
    )
    return [row(path=path), row(path=f"{path}/{{capability}}")]
