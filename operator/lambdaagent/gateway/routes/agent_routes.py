"""The routes below one agent, by path prefix or by host: cards, A2A, direct skill calls.

`AgentPaths` splits the path instead of matching a pattern, because most requests pass it.
"""

from collections.abc import Iterator

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import AbstractResource, ResourceRoute, UrlMappingMatchInfo, _InfoDict
from yarl import URL

from lambdaagent.a2a import well_known
from lambdaagent.a2a.cards import Shape
from lambdaagent.access.actions import Action
from lambdaagent.gateway.a2a import jsonrpc, rest
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import authenticate
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards
from lambdaagent.gateway.http.problems import ProblemError, unknown_agent
from lambdaagent.gateway.mcp import endpoint
from lambdaagent.gateway.routes.route_types import AgentRow
from lambdaagent.gateway.services import ROUTE, SERVICES
from lambdaagent.gateway.skills import direct

_ROOT = "/agents"


class AgentPaths(AbstractResource):
    """An aiohttp resource; `match_info` holds namespace, name and rest (with its leading slash)."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(name="agent")
        self._route = ResourceRoute("*", handler, self)

    @property
    def canonical(self) -> str:
        return _ROOT

    def url_for(self, *, namespace: str, name: str) -> URL:  # type: ignore[override]
        return URL.build(path=f"{_ROOT}/{namespace}/{name}/")

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        parts = request.path.split("/", 4)
        if len(parts) < 5 or parts[1] != "agents":
            return None, set()
        found = {"namespace": parts[2], "name": parts[3], "rest": f"/{parts[4]}"}
        return UrlMappingMatchInfo(found, self._route), {"*"}

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError("agents live at the root")

    def get_info(self) -> _InfoDict:
        return {"path": _ROOT}

    def raw_match(self, path: str) -> bool:
        return path == f"{_ROOT}/*"

    def __iter__(self) -> Iterator[ResourceRoute]:
        return iter((self._route,))

    def __len__(self) -> int:
        return 1


async def by_path(request: web.Request) -> web.StreamResponse:
    match = request.match_info
    namespace, name = match["namespace"], match["name"]
    request[ROUTE] = "unknown-agent"
    entry = await authorization.find(request, namespace, name)
    if entry is None:
        raise unknown_agent(namespace, name)
    return await serve(request, entry, match["rest"])


def is_ours(entry: Entry, path: str) -> bool:
    """Return whether the gateway, and not the container, serves a path on the agent's own host."""
    base = entry.base_path
    return path == base or path.startswith((f"{base}/", well_known.AGENT_CARD, well_known.LEGACY_AGENT_CARD))


async def _legacy_card(request: web.Request, entry: Entry, _: str) -> web.StreamResponse:
    return cards.card(request, entry, shape=Shape.LEGACY)


async def _card(request: web.Request, entry: Entry, _: str) -> web.StreamResponse:
    return cards.card(request, entry)


async def _jwks(request: web.Request, _: Entry, __: str) -> web.StreamResponse:
    return await cards.jwks(request)


SKILL = AgentRow(
    name="skill",
    path="{skillsPath}{skill}",
    methods=("POST",),
    action=Action.INVOKE,
    summary="Call a skill directly: the body goes to the container, and its response comes back",
    handler=direct.call,
)
RPC = AgentRow(
    name="a2a",
    path="{basePath}",
    methods=("POST",),
    action=None,
    summary="A2A's JSON-RPC binding",
    handler=jsonrpc.serve,
)
REST = AgentRow(
    name="a2a-rest",
    path="{basePath}/...",
    action=None,
    summary="A2A's HTTP+JSON binding",
    handler=rest.serve,
)
CARD = AgentRow(
    name="card",
    path=well_known.AGENT_CARD,
    action=Action.DISCOVER,
    summary="The agent card",
    handler=_card,
)
LEGACY_CARD = AgentRow(
    name="card",
    path=well_known.LEGACY_AGENT_CARD,
    action=Action.DISCOVER,
    summary="The agent card in the form before A2A 0.3.0",
    handler=_legacy_card,
)
JWKS = AgentRow(
    name="jwks",
    path=well_known.JWKS,
    action=Action.DISCOVER,
    summary="The keys that verify the card's signature",
    handler=_jwks,
)
MCP = AgentRow(
    name="mcp",
    path="/mcp",
    methods=("POST",),
    action=Action.DISCOVER,
    summary="The agent's skills as tools of the Model Context Protocol; calls are `invoke`",
    handler=endpoint.of_agent,
)
AGENT_ROUTES = (SKILL, RPC, REST, CARD, LEGACY_CARD, JWKS, MCP)


def find(entry: Entry, path: str) -> tuple[AgentRow, str] | None:
    """Return the row of a path below the agent, and what the handler gets of the path; None: nothing is served."""
    if path.startswith(entry.skills_path):
        return SKILL, path[len(entry.skills_path) :]
    if path == entry.base_path or (path[:-1] == entry.base_path and path[-1] == "/"):
        return RPC, ""
    if path.startswith(entry.rest_path):
        return REST, path[len(entry.base_path) :]
    for row in (CARD, LEGACY_CARD, JWKS, MCP):
        if path == row.path:
            return row, ""
    return None


async def serve(request: web.Request, entry: Entry, path: str) -> web.StreamResponse:
    """Serve a request of a principal that may know of the agent. `path` is the part after the agent's prefix; on its
    own host, the whole path.
    """
    principal = await authenticate(request)
    if not entry.enabled:
        request[ROUTE] = "a2a-disabled"
        raise ProblemError(404, "a2a-disabled", f"The agent {entry.agent.key} does not have spec.a2a.enabled.")
    found = find(entry, path)
    if found is None:
        request[ROUTE] = "unknown-path"
        raise ProblemError(
            404,
            "unknown-path",
            f"The agent {entry.agent.key} serves {well_known.AGENT_CARD}, {well_known.LEGACY_AGENT_CARD}, "
            f"{entry.base_path}, A2A's HTTP+JSON paths below it, and {entry.skills_path}{{id}}.",
        )
    row, rest_of_path = found
    request[ROUTE] = row.name
    limiting.require_agent(request.app[SERVICES], entry, principal)
    if row.action is not None:
        await authorization.require(request, entry, row.action, skill=rest_of_path or None)
    return await row.handler(request, entry, rest_of_path)
