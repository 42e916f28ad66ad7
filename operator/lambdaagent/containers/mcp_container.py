"""A task at a container that is an MCP server: one call of a tool (`mcp_call`), with the session that it needs.

The server is the agent's container, or an external one, which is called by the client of `external` alone: it checks
addresses, which authors of agents choose. The server's era is found once per change of the agent. A server that keeps
sessions gets one per call, so that no caller meets what another one left. Nothing is repeated that may have reached the
server.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Problem
from lambdaagent.clock import Clock
from lambdaagent.containers import mcp_transport
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.mcp_call import ToolCall
from lambdaagent.containers.mcp_transport import ContainerTransport
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadTargetError, RefusedMessageError
from lambdaagent.mcp import tool_calls
from lambdaagent.mcp.client import Peer, ServerError
from lambdaagent.mcp.protocol import Code
from lambdaagent.mcp.tool_calls import UnfitMessageError
from lambdaagent.mcpclient import session
from lambdaagent.mcpclient.exchange import StatusError
from lambdaagent.mcpclient.transport import Transport

_PEER = "mcp peer"  # of what `Callee.prepared` holds
_KEEPS_SESSIONS = "keeps sessions"
_INVALID = Problem.INVALID_PARAMS.value.code


class McpContainer:
    def __init__(
        self,
        *,
        client: HttpClient,
        clock: Clock,
        cold_start: float,
        told: WhoAsks,
        external: ExternalCalls | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._cold_start = cold_start
        self._told = told
        self._external = external

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        """Yield the task's updates.

        Raises UpstreamError, BadTargetError if the server cannot be asked, RefusedMessageError if the tool takes no
        such message.
        """
        if turn.skill is None:
            known = ", ".join(sorted(set(turn.callee.skills) - turn.callee.private)) or "none"
            raise RefusedMessageError(_INVALID, f"name the tool in metadata.skillId; known are: {known}")
        transport = await self.transport(turn.callee, turn.origin)
        until = time.monotonic() + turn.timeout
        try:
            peer = await self.peer(turn.callee, transport, seconds=turn.timeout)
            call = ToolCall(
                turn=turn,
                tool=turn.skill.id,
                schema=turn.skill.input_schema,
                transport=transport,
                peer=peer,
                clock=self._clock,
                limit=self._client.limits.body_bytes,
                until=until,
            )
            try:
                async with aclosing(call.updates()) as batches:
                    async for updates in batches:
                        yield updates
            finally:
                await session.leave(transport, peer)
        except UnfitMessageError as error:
            raise RefusedMessageError(_INVALID, f"{turn.skill.id}: {error}") from None
        except ServerError as error:
            if error.code == Code.UNSUPPORTED_VERSION:
                turn.callee.prepared.pop(_PEER, None)
            if self._external is not None:
                error = ServerError(error.code, await self._external.masked(turn.callee, error.text), error.data)
            yield [tool_calls.failure(error, clock=self._clock)]
        except StatusError:
            turn.callee.prepared.pop(_PEER, None)  # another server may be at the address now
            raise

    async def transport(self, callee: Callee, origin: Origin) -> Transport:
        """Return how the server is reached. Raises NotCalledError, BadTargetError."""
        told = self._told.headers(callee, origin)
        if origin.traceparent:
            told.append(("traceparent", origin.traceparent))
        if (server := callee.external) is not None:
            if self._external is None:
                raise BadTargetError("this process calls no external agents")
            headers = [*told, *await self._external.headers(callee)]
            return ContainerTransport(self._external.client, server.target, server.path, headers=headers, patience=0.0)
        if callee.target is None:
            raise BadTargetError("it has no address")
        return ContainerTransport(
            self._client, callee.target, mcp_transport.path(callee), headers=told, patience=self._cold_start
        )

    async def peer(self, callee: Callee, transport: Transport, *, seconds: float) -> Peer:
        """Return the server as it is spoken to; its session, if it began one, is the caller's to leave.

        `seconds` are for each answer: the first one may wait until a pod has started.

        Raises ServerError, UpstreamError.
        """
        known = callee.prepared.get(_PEER)
        if isinstance(known, Peer):
            return known
        greet = session.shake_hands if known == _KEEPS_SESSIONS else session.greet
        peer = await greet(transport, limit=self._client.limits.body_bytes, seconds=seconds)
        callee.prepared[_PEER] = _KEEPS_SESSIONS if peer.session else peer
        return peer
