"""One request at the endpoint, and the agents that it may concern."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.services import Services
from lambdaagent.mcp.envelope import Message
from lambdaagent.mcp.tools import Scope

_AT_ONCE = 200  # agents


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
        for number, entry in enumerate(self.services.directory.after(after), start=1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)  # there may be thousands, and other requests must run
            if self.scope.namespace not in ("", entry.key[0]) or not (entry.enabled and entry.discoverable):
                continue
            if await authorization.lists(self.request, entry):
                yield entry
