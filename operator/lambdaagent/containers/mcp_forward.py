"""One request to a container that is an MCP server whose result is passed on: its prompts, resources and completions.

Nothing of it becomes a task, so the answer is read whole, within limits of size and time, and what the server reports
meanwhile is dropped.
"""

from collections.abc import Mapping
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.clock import Clock
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.cold_start import COLD_START_SECONDS
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.mcp_container import McpContainer
from lambdaagent.containers.turn import Origin
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.mcp import client as messages
from lambdaagent.mcp.client import ServerError
from lambdaagent.mcp.protocol import SERVER_KEY
from lambdaagent.mcpclient import exchange, session

SECONDS = 60.0  # for the whole request, and the start of the container
METHODS = (
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
)
_OF_THIS_CONNECTION = ("progressToken",)


class McpForward:
    def __init__(
        self, *, client: HttpClient, clock: Clock, told: WhoAsks, external: ExternalCalls | None = None
    ) -> None:
        self._client = client
        self._external = external
        self._container = McpContainer(
            client=client, clock=clock, cold_start=COLD_START_SECONDS, told=told, external=external
        )

    async def ask(
        self,
        callee: Callee,
        method: str,
        params: Mapping[str, Any],
        *,
        capabilities: Mapping[str, Any],
        origin: Origin,
    ) -> Json:
        """Return the server's result, which may ask for input. `capabilities` are those of the client.

        Raises ServerError, UpstreamError, BadTargetError, NotCalledError.
        """
        try:
            return await self._ask(callee, method, params, capabilities=capabilities, origin=origin)
        except ServerError as error:
            if self._external is None:
                raise
            text = await self._external.masked(callee, error.text)
            raise ServerError(error.code, text, error.data) from None

    async def _ask(
        self,
        callee: Callee,
        method: str,
        params: Mapping[str, Any],
        *,
        capabilities: Mapping[str, Any],
        origin: Origin,
    ) -> Json:
        transport = await self._container.transport(callee, origin)
        peer = await self._container.peer(callee, transport, seconds=SECONDS)
        limit = self._client.limits.body_bytes
        try:
            headers, body = messages.request(peer, method, _passed_on(params), id_=1, capabilities=capabilities)
            answer, _ = await exchange.one(transport, headers, body, limit=limit, seconds=SECONDS)
        finally:
            await session.leave(transport, peer)
        found = messages.result(answer)
        meta = found.get("_meta")
        kept = {key: value for key, value in meta.items() if key != SERVER_KEY} if isinstance(meta, dict) else {}
        return {key: value for key, value in found.items() if key != "_meta"} | ({"_meta": kept} if kept else {})


def _passed_on(params: Mapping[str, Any]) -> Json:
    """Return the parameters without what describes the client's own request."""
    meta = params.get("_meta")
    found = {key: value for key, value in params.items() if key != "_meta"}
    if isinstance(meta, dict):
        kept = {
            key: value
            for key, value in meta.items()
            if key not in _OF_THIS_CONNECTION and not key.startswith("io.modelcontextprotocol/")
        }
        found |= {"_meta": kept} if kept else {}
    return found
