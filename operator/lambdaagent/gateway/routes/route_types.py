"""The rows of the table of routes: what is served, who may ask for it, and as which action."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.access.actions import Action, Credential
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import authenticate
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.services import ROUTE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    name: str  # as in metrics and logs
    method: str
    path: str  # aiohttp's template
    handler: Handler
    action: Action
    credential: Credential
    summary: str

    def definition(self) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            request[ROUTE] = self.name
            if self.credential is Credential.CALLER:
                await authenticate(request)
                if self.action is Action.PUBLISH:
                    await authorization.require_in_namespace(request, Action.PUBLISH, request.match_info["namespace"])
            return await self.handler(request)

        if self.method == "GET":
            return web.get(self.path, handle)  # answers HEAD too
        return web.route(self.method, self.path, handle)


@dataclass(frozen=True, slots=True)
class RouteTable:
    routes: Sequence[Route]
    takes_events: Callable[[str], bool]  # whether `ce-*` headers of a request to a path are an event's attributes
    many_agents: bool  # whether agents are below /agents and on hosts of their own
    observed: Sequence[Route] = ()  # the probes and metrics, if a port of their own serves them and not this one


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """A row of the table of routes, below an agent. Of `a2a` and `a2a-rest` the operation decides about the action."""

    name: str  # as in metrics and logs
    path: str  # for documents; the agent's own paths are in braces
    action: Action | None
    summary: str
    methods: tuple[str, ...] = ("GET", "HEAD")  # for documents; of `a2a-rest`, each operation has its own
    handler: Callable[[web.Request, Entry, str], Awaitable[web.StreamResponse]]
