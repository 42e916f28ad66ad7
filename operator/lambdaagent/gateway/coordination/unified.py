"""`POST /a2a`: one URL for every protocol. Each request is answered in the form of its own; the agent gets it in the
protocol that its container speaks.

MCP is served as at `/mcp`. The others name their agent or namespace: A2A and CloudEvents by the query parameters
`agent=namespace/name` and `namespace=name`, a message by its `to`. Methods of the extension, such as `agent.register`,
need none.
"""

import orjson
from aiohttp import web

from lambdaagent import bounded_json
from lambdaagent.a2a import extension_methods
from lambdaagent.access.actions import Action
from lambdaagent.api import naming
from lambdaagent.coordination import protocols
from lambdaagent.coordination.protocols import Protocol
from lambdaagent.gateway.a2a import jsonrpc
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import agent_messages
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.events import ingress
from lambdaagent.gateway.http import bodies
from lambdaagent.gateway.http.problems import ProblemError, unknown_agent
from lambdaagent.gateway.mcp import endpoint
from lambdaagent.gateway.services import ROUTE, SERVICES


async def serve(request: web.Request) -> web.StreamResponse:
    protocol = protocols.of_headers(request.headers) or protocols.of_body(await _json(request))
    match protocol:
        case Protocol.MCP:
            return await endpoint.platform(request)
        case Protocol.CLOUDEVENTS:
            return await _events(request)
        case Protocol.A2A:
            request[ROUTE] = "a2a"
            if "agent" not in request.query and _needs_no_agent(await _json(request)):
                return await jsonrpc.without_agent(request)
            return await jsonrpc.serve(request, await _agent(request), "")
        case Protocol.MESSAGE:
            return await agent_messages.serve(request)
        case None:
            detail = "The body is no message of MCP, A2A, CloudEvents, or from one agent to another."
            raise ProblemError(400, "unknown-protocol", detail)


def _needs_no_agent(body: object) -> bool:
    method = body.get("method") if isinstance(body, dict) else None
    return isinstance(method, str) and method in extension_methods.WITHOUT_AGENT


async def _json(request: web.Request) -> object:
    body = await bodies.whole(request)
    try:
        return bounded_json.loads(body)
    except (bounded_json.BoundError, orjson.JSONDecodeError) as error:
        raise ProblemError(400, "not-json", f"The body is not JSON: {str(error)[:200]}.") from None


async def _events(request: web.Request) -> web.Response:
    namespace = request.query.get("namespace") or request.query.get("agent", "").partition("/")[0]
    if not naming.is_label(namespace, "x"):
        detail = "A CloudEvent needs the query parameter namespace, or agent=namespace/name."
        raise ProblemError(400, "no-namespace", detail)
    await authorization.require_in_namespace(request, Action.PUBLISH, namespace)
    return await ingress.to(request, namespace)


async def _agent(request: web.Request) -> Entry:
    """Return the agent that the query names. Raises ProblemError."""
    namespace, _, name = request.query.get("agent", "").partition("/")
    if not naming.is_label(namespace, name):
        detail = "A2A needs the query parameter agent=namespace/name; GET /agents lists the agents."
        raise ProblemError(400, "no-agent", detail)
    entry = await authorization.find(request, namespace, name)
    if entry is None or not entry.enabled:
        raise unknown_agent(namespace, name)
    limiting.require_agent(request.app[SERVICES], entry, request[PRINCIPAL])
    return entry
