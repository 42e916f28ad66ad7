"""One request at the endpoint, and the agents that it may concern."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.services import Services
from lambdaagent.mcp.envelope import Message
from lambdaagent.mcp.tools import Scope


@dataclass(frozen=True, slots=True)
class McpCall:
    request: web.Request
    services: Services
    scope: Scope
    entry: Entry | None  # of the scope of one agent; the caller may know of it
    message: Message

    async def agents(self, after: Key | None = None) -> AsyncIterator[Entry]:
        """Yield the agents of the scope that the caller may know of, in the order of their names."""
        if self.entry is not None:
            if after is None:
                yield self.entry
            return
        async for entry in authorization.listed(self.request, self._shows, after=after):
            yield entry

    def covers(self, entry: Entry) -> bool:
        return self.scope.namespace in ("", entry.key[0])

    def _shows(self, entry: Entry) -> bool:
        return self.covers(entry) and entry.enabled and entry.discoverable
