"""Everything below one agent, whether by path prefix or by host: cards, A2A, direct skill calls."""

from aiohttp import web

from lambdaagent.a2a.cards import Shape
from lambdaagent.a2a.signing import JWKS_PATH
from lambdaagent.gateway.a2a import jsonrpc, rest
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards
from lambdaagent.gateway.http.problems import ProblemError, unknown_agent
from lambdaagent.gateway.services import ROUTE, SERVICES
from lambdaagent.gateway.skills import direct


async def by_path(request: web.Request) -> web.StreamResponse:
    match = request.match_info
    namespace, name = match["namespace"], match["name"]
    entry = request.app[SERVICES].directory.get(namespace, name)
    if entry is None:
        request[ROUTE] = "unknown-agent"
        raise unknown_agent(namespace, name)
    return await serve(request, entry, match["rest"])


def is_ours(entry: Entry, path: str) -> bool:
    """Whether a path on the agent's own host is the gateway's to answer."""
    base = entry.base_path
    return path == base or path.startswith((f"{base}/", "/.well-known/agent-card.json", "/.well-known/agent.json"))


async def serve(request: web.Request, entry: Entry, path: str) -> web.StreamResponse:
    """`path` is what follows the agent's prefix, or the whole path on its own host."""
    if not entry.enabled:
        request[ROUTE] = "a2a-disabled"
        raise ProblemError(404, "a2a-disabled", f"The agent {entry.agent.key} does not have spec.a2a.enabled.")
    if path.startswith(entry.skills_path):
        request[ROUTE] = "skill"
        return await direct.call(request, entry, path[len(entry.skills_path) :])
    if path == entry.base_path or (path[:-1] == entry.base_path and path[-1] == "/"):
        request[ROUTE] = "a2a"
        return await jsonrpc.serve(request, entry)
    if path.startswith(entry.rest_path):
        request[ROUTE] = "a2a-rest"
        return await rest.serve(request, entry, path[len(entry.base_path) :])
    if path == "/.well-known/agent-card.json":
        request[ROUTE] = "card"
        return cards.card(request, entry)
    if path == "/.well-known/agent.json":
        request[ROUTE] = "card"
        return cards.card(request, entry, shape=Shape.LEGACY)
    if path == JWKS_PATH:
        return await cards.jwks(request)
    request[ROUTE] = "unknown-path"
    raise ProblemError(
        404,
        "unknown-path",
        f"The agent {entry.agent.key} serves /.well-known/agent-card.json, /.well-known/agent.json, {entry.base_path}, "
        f"A2A's HTTP+JSON paths below it, and {entry.skills_path}{{id}}.",
    )
