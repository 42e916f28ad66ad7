"""One request at the endpoint, the agents that it may concern, and its response."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from lambdaagent import media_types, page_token
from lambdaagent.a2a import Json
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.directory import Entry, Key
from lambdaagent.gateway.services import Services
from lambdaagent.mcp import capabilities
from lambdaagent.mcp.envelope import Message
from lambdaagent.mcp.protocol import FIRST_WITH_FORMS, SERVER, SERVER_KEY, Code, McpError
from lambdaagent.mcp.tools import Scope

_REFUSED = frozenset(("q=0", "q=0.0", "q=0.00", "q=0.000"))


@dataclass(frozen=True, slots=True)
class McpCall:
    request: web.Request
    services: Services
    scope: Scope
    entry: Entry | None  # of the scope of one agent; the caller may know of it
    message: Message

    @property
    def accepts_events(self) -> bool:
        """Whether a header Accept names events (RFC 9110 section 12.5.1); a range such as `*/*` does not."""
        ranges = ",".join(self.request.headers.getall("Accept", ())).lower().split(",")
        kinds = ([part.strip() for part in each.split(";")] for each in ranges)
        return any(kind == media_types.EVENT_STREAM and not _REFUSED.intersection(more) for kind, *more in kinds)

    @property
    def after(self) -> Key | None:
        """The agent after which the asked page begins; None for the first page. Raises McpError."""
        cursor = self.message.params.get("cursor")
        if cursor is None:
            return None
        try:
            return page_token.agent_of(cursor)
        except ValueError:
            raise McpError(Code.INVALID_PARAMS, "params.cursor is not a cursor that this gateway issued.") from None

    @property
    def askable(self) -> Json:
        """What the host may be asked. Before 2026-07-28 only its handshake said that, so it is asked to find out."""
        if self.message.modern:
            return capabilities.askable(self.message.capabilities)
        return {} if self.message.version < FIRST_WITH_FORMS or not self.accepts_events else dict(capabilities.ALL)

    async def agents(self, after: Key | None = None) -> AsyncIterator[Entry]:
        """Yield the agents of the scope that the caller may know of, in the order of their names."""
        if self.entry is not None:
            if after is None:
                yield self.entry
            return
        async for entry in authorization.listed(self.request, self.shows, after=after):
            yield entry

    def covers(self, entry: Entry) -> bool:
        return self.scope.namespace in ("", entry.key[0]) and self.scope.agent in ("", entry.key[1])

    def shows(self, entry: Entry) -> bool:
        return self.covers(entry) and entry.enabled and entry.discoverable

    def response(self, result: Json) -> Json:
        """Return the JSON-RPC response, with what each result has since the revision 2026-07-28."""
        if self.message.modern:
            meta = {**result.get("_meta", {}), SERVER_KEY: dict(SERVER)}
            result = {"resultType": "complete", **result, "_meta": meta}
        return {"jsonrpc": "2.0", "id": self.message.id, "result": result}

    def failure(self, error: McpError) -> Json:
        """Return the JSON-RPC error response."""
        return {"jsonrpc": "2.0", "id": self.message.id, "error": error.body()}
