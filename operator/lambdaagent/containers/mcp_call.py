"""One call of a tool at an MCP server: its rounds, what the server reports meanwhile, and its result as updates.

A round that ended with a question is repeated by the client's next message, one that only wants the server's state back
at once. The tools are listed only if the arguments need their schemas, and again if the server says that the headers do
not fit: it has not acted then.

Hazard: a server of the newer era ends a call whose connection is closed, an older one only if it is told to. So a call
that is given up is told to such a server, within a short time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import orjson
import structlog

from lambdaagent.a2a import Json
from lambdaagent.backoff import Backoff
from lambdaagent.clock import Clock
from lambdaagent.containers.turn import Turn
from lambdaagent.httpclient.errors import BadAnswerError, UpstreamError
from lambdaagent.mcp import client as messages
from lambdaagent.mcp import param_headers, tool_calls
from lambdaagent.mcp.client import Kind, Message, Peer, ServerError
from lambdaagent.mcp.protocol import Code
from lambdaagent.mcpclient import exchange
from lambdaagent.mcpclient.session import Session
from lambdaagent.mcpclient.tools import all_tools
from lambdaagent.mcpclient.transport import Transport

log = structlog.get_logger(__name__)

_LIST_SECONDS = 10.0  # for a page of the tools
_LAST_SECONDS = 2.0  # for a call that is given up
_LARGEST_SCHEMA = 64 * 1024  # bytes
_ROUNDS = 10  # of a server that only wants its state back
_SCHEMAS = "mcp schemas"  # of what `Callee.prepared` holds
_ID = 1  # of the request: each call has a connection of its own


@dataclass(frozen=True, slots=True)
class ToolCall:
    turn: Turn
    tool: str
    schema: Json | None  # of the arguments, if the agent's skill has it
    transport: Transport
    peer: Peer
    clock: Clock
    limit: int  # bytes of an answer
    until: float  # on the monotonic clock

    async def updates(self) -> AsyncGenerator[list[Json], None]:
        """Raises UnfitMessageError, ServerError, UpstreamError."""
        asked = tool_calls.question(self.turn.task)
        first = tool_calls.first_message(self.turn.task, self.turn.message)
        responses = tool_calls.answers(self.turn.message, asked)
        schema = self.schema if self.schema is not None or _is_object(first) else await self._listed()
        given = tool_calls.arguments(first, schema)
        state = asked.state if asked is not None else None
        backoff, fresh = Backoff(first=0.05, cap=0.25), False
        for _ in range(_ROUNDS):
            params = tool_calls.params(
                self.tool, given, token=self.turn.task_id, responses=responses, state=state, modern=self.peer.modern
            )
            result: Json | None = None
            try:
                async with aclosing(self._round(params, first, schema)) as found:
                    async for each in found:
                        if isinstance(each, list):
                            yield each
                        else:
                            result = each
            except ServerError as error:
                if error.code != Code.HEADER_MISMATCH or fresh:
                    raise
                schema, fresh = await self._listed(again=True), True
                continue
            try:
                asked = tool_calls.asks_for_input(result or {})
                if asked is None:
                    yield tool_calls.outcome(result or {}, name=self.tool, clock=self.clock)
                    return
            except ValueError as error:
                raise BadAnswerError(f"its result cannot be understood: {error}") from None
            if asked.requests:
                yield [tool_calls.waiting(asked, clock=self.clock)]
                return
            responses, state = None, asked.state
            await asyncio.sleep(backoff.next())
        raise BadAnswerError(f"it asks for nothing but its own state {_ROUNDS} times")

    async def _round(self, params: Json, first: Json, schema: Json | None) -> AsyncGenerator[list[Json] | Json, None]:
        """Yield lists of updates, and at last the result."""
        headers, body = messages.request(
            self.peer,
            "tools/call",
            params,
            id_=_ID,
            capabilities=tool_calls.capabilities(first),
            headers=param_headers.of_arguments(schema, params["arguments"]) if self.peer.modern else (),
        )
        ended, reports, seconds = False, 0, max(0.1, round(self.until - time.monotonic(), 1))
        answer = exchange.each(self.transport, headers, body, limit=self.limit, seconds=seconds)
        try:
            async with aclosing(answer) as found:
                async for message in found:
                    if message.kind is Kind.REQUEST:
                        await self._decline(message)
                    elif message.kind is not Kind.NOTIFICATION:
                        ended = True
                        yield messages.result(message)
                    elif reports < tool_calls.MOST_REPORTS:
                        update = tool_calls.report(message.method, message.body, clock=self.clock)
                        if update is not None:
                            reports += 1
                            yield [update]
        finally:
            if not ended and not self.peer.modern:
                await self._give_up()

    async def _listed(self, *, again: bool = False) -> Json | None:
        """Return the schema of the tool's arguments, as the server lists it once per change of the agent."""
        prepared = self.turn.callee.prepared
        if again or _SCHEMAS not in prepared:
            session = Session(self.transport, self.peer, self.limit, _LIST_SECONDS)
            tools = await all_tools(session, keep=_schema_alone)
            prepared[_SCHEMAS] = {each["name"]: each["inputSchema"] for each in tools.found}
        known: dict[str, Json | None] = prepared[_SCHEMAS]
        return known.get(self.tool)

    async def _decline(self, request: Message) -> None:
        """Answer what a server of a handshake revision asks of its client. Only that it is alive can be answered."""
        if request.id is None:
            return
        error = {"code": int(Code.METHOD_NOT_FOUND), "message": "This client has no such capability."}
        answer = (
            messages.response(self.peer, request.id, result={})
            if request.method == "ping"
            else messages.response(self.peer, request.id, error=error)
        )
        try:
            await exchange.tell(self.transport, *answer, seconds=_LAST_SECONDS)
        except UpstreamError as failure:
            log.info("mcp.answer_failed", agent=self.turn.callee.key, method=request.method[:64], error=str(failure))

    async def _give_up(self) -> None:
        reason = {"requestId": _ID, "reason": "The task has ended."}
        told = messages.notification(self.peer, "notifications/cancelled", reason)
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await exchange.tell(self.transport, *told, seconds=_LAST_SECONDS)
        except (UpstreamError, TimeoutError):
            return  # it ends the call in its own time


def _is_object(message: Json) -> bool:
    parts = message["parts"]
    return len(parts) == 1 and isinstance(parts[0].get("data"), dict)


def _schema_alone(tool: Json) -> Json:
    """Return the schema of the arguments; a very large one is not held, and the tool takes objects only."""
    schema = tool.get("inputSchema")
    fits = isinstance(schema, dict) and len(orjson.dumps(schema)) <= _LARGEST_SCHEMA
    return {"name": tool["name"], "inputSchema": schema if fits else None}
