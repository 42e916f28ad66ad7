"""A task at a container that is an MCP server: one call of a tool, and what the server reports meanwhile as updates.

The server's era is found once per change of the agent. A server that keeps sessions gets one per call, so that no
caller meets what another one left. Nothing is repeated that may have reached the server.

Hazard: a server of the newer era ends a call whose connection is closed, an older one only if it is told to. So a call
that is given up is told to such a server, within a short time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Problem
from lambdaagent.backoff import Backoff
from lambdaagent.clock import Clock
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.mcp_transport import ContainerTransport
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.containers.who_asks import WhoAsks
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BadAnswerError, RefusedMessageError, UpstreamError
from lambdaagent.httpclient.wire import Target
from lambdaagent.mcp import client as messages
from lambdaagent.mcp import tool_calls
from lambdaagent.mcp.client import Kind, Message, Peer, ServerError
from lambdaagent.mcp.protocol import Code
from lambdaagent.mcp.tool_calls import UnfitMessageError
from lambdaagent.mcpclient import exchange, session
from lambdaagent.mcpclient.exchange import StatusError
from lambdaagent.mcpclient.session import Session
from lambdaagent.mcpclient.tools import all_tools

log = structlog.get_logger(__name__)

_GREETING_SECONDS = 10.0
_LAST_SECONDS = 2.0  # for a call that is given up
_LARGEST_SCHEMA = 64 * 1024  # bytes
_ROUNDS = 10  # of a server that only wants its state back
_PEER, _SCHEMAS = "mcp peer", "mcp schemas"  # of what `Callee.prepared` holds
_KEEPS_SESSIONS = "keeps sessions"
_INVALID = Problem.INVALID_PARAMS.value.code


class McpContainer:
    def __init__(self, *, client: HttpClient, clock: Clock, cold_start: float, told: WhoAsks) -> None:
        self._client = client
        self._clock = clock
        self._cold_start = cold_start
        self._told = told

    async def stream(self, turn: Turn, target: Target) -> AsyncGenerator[list[Json], None]:
        """Yield the task's updates.

        Raises UpstreamError if the container cannot be asked, RefusedMessageError if the tool takes no such message.
        """
        if turn.skill is None:
            known = ", ".join(sorted(set(turn.callee.skills) - turn.callee.private)) or "none"
            raise RefusedMessageError(_INVALID, f"name the tool in metadata.skillId; known are: {known}")
        transport = self.transport(turn.callee, target, turn.origin)
        until = time.monotonic() + turn.timeout
        try:
            peer = await self.peer(turn.callee, transport)
            try:
                async with aclosing(self._rounds(turn, turn.skill.id, transport, peer, until=until)) as batches:
                    async for updates in batches:
                        yield updates
            finally:
                await session.leave(transport, peer)
        except UnfitMessageError as error:
            raise RefusedMessageError(_INVALID, f"{turn.skill.id}: {error}") from None
        except ServerError as error:
            if error.code == Code.UNSUPPORTED_VERSION:
                turn.callee.prepared.pop(_PEER, None)
            yield [tool_calls.failure(error, clock=self._clock)]
        except StatusError:
            turn.callee.prepared.pop(_PEER, None)  # another server may be at the address now
            raise

    def transport(self, callee: Callee, target: Target, origin: Origin) -> ContainerTransport:
        told = self._told.headers(callee, origin)
        if origin.traceparent:
            told.append(("traceparent", origin.traceparent))
        return ContainerTransport(self._client, target, callee, told=told, patience=self._cold_start)

    async def _rounds(
        self, turn: Turn, tool: str, transport: ContainerTransport, peer: Peer, *, until: float
    ) -> AsyncGenerator[list[Json], None]:
        """Yield the updates of the call, and of its repetitions for a server that only wants its state back."""
        asked = tool_calls.question(turn.task)
        first = tool_calls.first_message(turn.task, turn.message)
        responses = tool_calls.answers(turn.message, asked)
        given = await self._arguments(first, tool, turn.callee, transport, peer)
        state = asked.state if asked is not None else None
        backoff = Backoff(first=0.05, cap=0.25)
        for _ in range(_ROUNDS):
            sent = tool_calls.params(
                tool, given, token=turn.task_id, responses=responses, state=state, modern=peer.modern
            )
            result: Json | None = None
            call = self._call(transport, peer, sent, tool_calls.capabilities(first), until=until)
            async with aclosing(call) as found:
                async for each in found:
                    if isinstance(each, list):
                        yield each
                    else:
                        result = each
            try:
                asked = tool_calls.asks_for_input(result or {})
                if asked is None:
                    yield tool_calls.outcome(result or {}, name=tool, clock=self._clock)
                    return
            except ValueError as error:
                raise BadAnswerError(f"its result cannot be understood: {error}") from None
            if asked.requests:
                yield [tool_calls.waiting(asked, clock=self._clock)]
                return
            responses, state = None, asked.state
            await asyncio.sleep(backoff.next())
        raise BadAnswerError(f"it asks for nothing but its own state {_ROUNDS} times")

    async def _call(
        self, transport: ContainerTransport, peer: Peer, params: Json, capabilities: Mapping[str, Any], *, until: float
    ) -> AsyncGenerator[list[Json] | Json, None]:
        """Yield lists of updates, and at last the result."""
        headers, body = messages.request(peer, "tools/call", params, id_=1, capabilities=capabilities)
        ended, reports, limit = False, 0, self._client.limits.body_bytes
        seconds = max(0.1, until - time.monotonic())
        try:
            async with aclosing(exchange.each(transport, headers, body, limit=limit, seconds=seconds)) as found:
                async for message in found:
                    if message.kind is Kind.REQUEST:
                        await _decline(transport, peer, message)
                    elif message.kind is not Kind.NOTIFICATION:
                        ended = True
                        yield messages.result(message)
                    elif reports < tool_calls.MOST_REPORTS:
                        update = tool_calls.report(message.method, message.body, clock=self._clock)
                        if update is not None:
                            reports += 1
                            yield [update]
        finally:
            if not ended and not peer.modern:
                await _give_up(transport, peer)

    async def _arguments(
        self, message: Json, tool: str, callee: Callee, transport: ContainerTransport, peer: Peer
    ) -> Json:
        """Return the arguments. The tools are listed only for a message that is no object. Raises UnfitMessageError."""
        parts = message["parts"]
        if len(parts) == 1 and isinstance(parts[0].get("data"), dict):
            return tool_calls.arguments(message, None)
        known = callee.prepared.get(_SCHEMAS)
        if known is None:
            asking = Session(transport, peer, self._client.limits.body_bytes, _GREETING_SECONDS)
            tools = await all_tools(asking, keep=_schema_alone)
            known = callee.prepared[_SCHEMAS] = {each["name"]: each["inputSchema"] for each in tools.found}
        return tool_calls.arguments(message, known.get(tool))

    async def peer(self, callee: Callee, transport: ContainerTransport) -> Peer:
        """Return the server as it is spoken to; its session, if it began one, is the caller's to leave."""
        known = callee.prepared.get(_PEER)
        if isinstance(known, Peer):
            return known
        greet = session.shake_hands if known == _KEEPS_SESSIONS else session.greet
        peer = await greet(transport, limit=self._client.limits.body_bytes, seconds=_GREETING_SECONDS)
        callee.prepared[_PEER] = _KEEPS_SESSIONS if peer.session else peer
        return peer


async def _decline(transport: ContainerTransport, peer: Peer, request: Message) -> None:
    """Answer what a server of a handshake revision asks of its client. Only that it is alive can be answered."""
    if request.id is None:
        return
    error = {"code": int(Code.METHOD_NOT_FOUND), "message": "This client has no such capability."}
    alive = request.method == "ping"
    answer = messages.response(peer, request.id, **({"result": {}} if alive else {"error": error}))
    try:
        await exchange.tell(transport, *answer, seconds=_LAST_SECONDS)
    except UpstreamError as error_of_answer:
        log.info("mcp.answer_failed", method=request.method[:64], error=str(error_of_answer))


async def _give_up(transport: ContainerTransport, peer: Peer) -> None:
    told = messages.notification(peer, "notifications/cancelled", {"requestId": 1, "reason": "The task has ended."})
    try:
        async with asyncio.timeout(_LAST_SECONDS):
            await exchange.tell(transport, *told, seconds=_LAST_SECONDS)
    except (UpstreamError, TimeoutError):
        return  # it ends the call in its own time


def _schema_alone(tool: Json) -> Json:
    """Return the schema of the arguments; a very large one is not held, and the tool takes objects only."""
    schema = tool.get("inputSchema")
    fits = isinstance(schema, dict) and len(orjson.dumps(schema)) <= _LARGEST_SCHEMA
    return {"name": tool["name"], "inputSchema": schema if fits else None}
