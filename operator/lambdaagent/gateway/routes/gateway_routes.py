"""The routes of the gateway. aiohttp's routes and the OpenAPI document are made from these rows.

Invariant: nothing is served without a row, so no request is let in by omission. `agent_routes` has the rows below one
agent, by path or by host.
"""

from collections.abc import Sequence

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import well_known
from lambdaagent.access.actions import Action, Credential
from lambdaagent.gateway import probes
from lambdaagent.gateway.discovery import cards, catalog
from lambdaagent.gateway.events import delivery, ingress
from lambdaagent.gateway.routes import openapi
from lambdaagent.gateway.routes.agent_routes import AGENT_ROUTES
from lambdaagent.gateway.routes.route_types import Handler, Route, RouteTable

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"


def table() -> RouteTable:
    """Return the routes of a gateway that serves all agents."""
    found = [*_observed(), *_discovered(), *_events()]
    found.append(_openapi(found))
    return RouteTable(found, takes_events=lambda path: path.startswith("/events/"), many_agents=True)


def _openapi(rows: Sequence[Route]) -> Route:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=media_types.JSON)

    row = Route(
        name="openapi",
        method="GET",
        path="/openapi.json",
        handler=serve,
        action=Action.DISCOVER,
        credential=Credential.CALLER,
        summary="This interface as an OpenAPI 3.1 document",
    )
    body = orjson.dumps(openapi.document([*rows, row], AGENT_ROUTES))
    return row


def observed(path: str, handler: Handler, *, name: str, summary: str) -> Route:
    """Return the row of a probe or of the metrics."""
    return Route(
        name=name,
        method="GET",
        path=path,
        handler=handler,
        action=Action.OBSERVE,
        credential=Credential.NONE,
        summary=summary,
    )


def _observed() -> list[Route]:
    return [
        observed("/healthz", probes.healthz, name="healthz", summary="Whether the process runs"),
        observed("/readyz", probes.readyz, name="readyz", summary="Whether the gateway can serve, or why not"),
        observed("/metrics", probes.metrics, name="metrics", summary="Metrics in Prometheus's format"),
    ]


def _discovered() -> list[Route]:
    def row(name: str, path: str, handler: Handler, summary: str) -> Route:
        return Route(
            name=name,
            method="GET",
            path=path,
            handler=handler,
            action=Action.DISCOVER,
            credential=Credential.CALLER,
            summary=summary,
        )

    return [
        row("agents", "/agents", catalog.agents, "The agents, by page, or as a stream of changes (text/event-stream)"),
        row("api-catalog", well_known.API_CATALOG, cards.api_catalog, "The agents as a link set (RFC 9727)"),
        row("jwks", well_known.JWKS, cards.jwks, "The keys that verify the gateway's signatures (RFC 7517)"),
    ]


def _events() -> list[Route]:
    events, agent, capability = f"/events/{{namespace:{_LABEL}}}", f"{{agent:{_LABEL}}}", "{capability}"

    def rows(name: str, action: Action, path: str, handler: Handler, summary: str) -> list[Route]:
        """Return the rows of a URL whose last segment may be a capability."""
        return [
            Route(
                name=name,
                method="POST",
                path=each,
                handler=handler,
                action=action,
                credential=Credential.CAPABILITY,
                summary=summary,
            )
            for each in (path, f"{path}/{capability}")
        ]

    def published(name: str, path: str, handler: Handler, summary: str) -> Route:
        return Route(
            name=name,
            method="POST",
            path=path,
            handler=handler,
            action=Action.PUBLISH,
            credential=Credential.CALLER,
            summary=summary,
        )

    sender = "Publish CloudEvents as an agent; the gateway first applies them to the task that they name"
    return [
        published("events", events, ingress.to_namespace, "Publish CloudEvents to the shared Broker of a namespace"),
        *rows("events-from", Action.EMIT, f"{events}/from/{agent}", ingress.from_agent, sender),
        *rows(
            "events-to", Action.DELIVER, f"{events}/to/{agent}", delivery.to_agent, "Deliver CloudEvents to an agent"
        ),
        *rows(
            "events-dead-letters",
            Action.STORE_DEAD_LETTERS,
            f"{events}/dead-letters",
            delivery.dead_letters,
            "Store CloudEvents that could not be delivered",
        ),
        published(
            "events-broker",
            f"{events}/brokers/{{broker:{_LABEL}}}",
            ingress.to_broker,
            "Publish CloudEvents to a Broker",
        ),
    ]
