"""One call to a container for a task: the request, the response as it arrives, and the updates that it means.

Without a connection nothing was sent, so connecting is repeated for a while: a pod may be starting. Everything after
that happens once.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Protocol

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.clock import Clock
from lambdaagent.containers import requests, responses
from lambdaagent.containers.a2a_container import A2aContainer
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.cold_start import COLD_START_SECONDS, until_connected
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.mcp_container import McpContainer
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.containers.who_asks import NotCalledError, WhoAsks
from lambdaagent.errors import TemporaryError
from lambdaagent.events.http import media_type
from lambdaagent.events.retry import RetryDecision, judge, retry_after
from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.errors import (
    BadTargetError,
    BusyError,
    DroppedError,
    RefusedMessageError,
    UndecodableError,
    UpstreamError,
    describe,
)
from lambdaagent.httpclient.wire import Target

_BATCH = 64  # updates of one response that are yielded at a time


class NotTakenError(TemporaryError):
    """The call may be repeated without a double effect at the container; `after` is its Retry-After in seconds."""

    def __init__(self, text: str, *, after: float | None = None) -> None:
        super().__init__(text)
        self.after = after


class Caller(Protocol):
    def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        """Yield the updates of the response as it arrives; closing the generator ends the call.

        Raises RefusedMessageError if a container that is an A2A or MCP server refuses the message.
        """
        ...

    async def cancel(self, callee: Callee, remote: str, *, context_id: str, origin: Origin) -> None:
        """Cancel a task at a container that is an A2A server. Raises RefusedMessageError if it refuses."""
        ...


class HttpCaller:
    """Yields a failure of the container as an update with the reason.

    If `turn.again` is set, a failure that a repetition may avoid raises NotTakenError instead.
    """

    def __init__(
        self,
        *,
        client: HttpClient,
        clock: Clock,
        cold_start: float = COLD_START_SECONDS,
        told: WhoAsks | None = None,
        external: ExternalCalls | None = None,
    ) -> None:
        """`told` makes the headers that say who asks; without `external`, no external agent is called."""
        self._client = client
        self._clock = clock
        self._cold_start = cold_start
        self._told = told or WhoAsks()
        self._relay = A2aContainer(client=client, clock=clock, cold_start=cold_start, told=self._told)
        self._external = external
        self._elsewhere: A2aContainer | None = None
        if external is not None:
            self._elsewhere = A2aContainer(
                client=external.client, clock=clock, cold_start=0.0, told=self._told, external=external
            )
        self._tools = McpContainer(
            client=client, clock=clock, cold_start=cold_start, told=self._told, external=external
        )

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        target = turn.callee.target
        if not turn.callee.has_address:
            if turn.again:
                raise NotTakenError("the agent has no address: it is not ready")
            yield [responses.failed("The agent has no address: it is not ready.", clock=self._clock)]
            return
        begun, begun_to_answer = time.monotonic(), False
        try:
            if turn.callee.protocol == "mcp":
                async with aclosing(self._tools.stream(turn)) as batches:
                    async for updates in batches:
                        yield updates
                return
            if turn.callee.protocol == "a2a":
                server, address = self._a2a(turn.callee)
                async with aclosing(server.stream(turn, address)) as batches:
                    async for updates in batches:
                        yield updates
                return
            if target is None:
                raise BadTargetError("it has no address")
            response = await self._request(turn, target)
            async with response:
                begun_to_answer = response.status == 200
                if turn.again and judge(response.status) is RetryDecision.AGAIN:
                    headers = {name.lower(): value for name, value in response.headers}
                    wait = retry_after(headers, now=self._clock.now())
                    raise NotTakenError(f"the agent answered {response.status}", after=wait)
                kind = media_type(response.header("content-type") or "")
                if kind == media_types.EVENT_STREAM and responses.is_result(response.status):
                    async for updates in self._streamed(response):
                        yield updates
                    return
                body = await self._body(response)
        except RefusedMessageError as error:
            raise RefusedMessageError(error.code, await self._masked(turn.callee, str(error))) from None
        except UndecodableError as error:
            yield [responses.failed(f"The agent's response cannot be understood: {error}", clock=self._clock)]
            return
        except NotCalledError as error:
            yield [responses.failed(f"The agent was not called: {error}.", clock=self._clock)]
            return
        except (UpstreamError, BadTargetError) as error:
            if turn.again and not begun_to_answer and isinstance(error, UpstreamError):
                raise NotTakenError(describe(error, "the agent").removesuffix(".")) from error
            text = await self._masked(turn.callee, _why(error, turn.callee, seconds=time.monotonic() - begun))
            yield [responses.failed(text, clock=self._clock)]
            return
        reply_type = turn.skill.invocation.reply_type if turn.skill is not None else None
        headers = {name.lower(): value for name, value in response.headers}
        updates = await responses.interpret(
            status=response.status, headers=headers, body=body, clock=self._clock, reply_type=reply_type
        )
        for at in range(0, len(updates) or 1, _BATCH):
            yield updates[at : at + _BATCH]
            await asyncio.sleep(0)

    async def cancel(self, callee: Callee, remote: str, *, context_id: str, origin: Origin) -> None:
        try:
            server, target = self._a2a(callee)
        except BadTargetError:
            return
        await server.cancel(callee, target, remote, context_id=context_id, origin=origin)

    async def _masked(self, callee: Callee, text: str) -> str:
        return await self._external.masked(callee, text) if self._external is not None else text

    def _a2a(self, callee: Callee) -> tuple[A2aContainer, Target]:
        """Return what calls the agent, and where. Raises BadTargetError."""
        if callee.external is not None:
            if self._elsewhere is None:
                raise BadTargetError("this process calls no external agents")
            return self._elsewhere, callee.external.target
        if callee.target is None:
            raise BadTargetError("it has no address")
        return self._relay, callee.target

    async def _request(self, turn: Turn, target: Target) -> Response:
        call = requests.for_message(
            turn.callee,
            skill=turn.skill,
            message=turn.message,
            task_id=turn.task_id,
            context_id=turn.context_id,
            event_id=turn.event_id or self._clock.new_mark(),
            traceparent=turn.origin.traceparent,
            attempt=turn.attempt,
            shared=turn.shared,
        )
        call.headers.extend(self._told.headers(turn.callee, turn.origin))
        return await until_connected(
            lambda left: self._client.request(
                target,
                path=call.path,
                headers=call.headers,
                fixed=call.fixed,
                body=call.body,
                first_byte=left,
                total=left,
            ),
            seconds=turn.timeout,
            patience=self._cold_start,
        )

    async def _body(self, response: Response) -> bytes:
        """Return the decoded body. An undecodable one is an error only if the response is a result."""
        try:
            return await response.read(limit=self._client.limits.body_bytes)
        except UndecodableError:
            if responses.is_result(response.status):
                raise
            return b""

    async def _streamed(self, response: Response) -> AsyncIterator[list[Json]]:
        limit, content_type = self._client.limits.body_bytes, response.header("content-type") or ""
        try:
            stream = responses.Stream(clock=self._clock, limit=limit, content_type=content_type)
            async for chunk in response.decoded(limit=None):
                for updates in stream.feed(chunk):
                    if updates:
                        yield updates
                    await asyncio.sleep(0)
            yield stream.end()
        except ValueError as error:
            yield [responses.failed(f"The agent's response cannot be understood: {error}", clock=self._clock)]


def _why(error: UpstreamError | BadTargetError, callee: Callee, *, seconds: float) -> str:
    if isinstance(error, BusyError):
        return (
            f"The gateway's limit of {error.limit} connections to the agent {callee.key} is reached: {error}. Send the"
            " message again later, or raise spec.serving.containerConcurrency or LAMBDAAGENT_AGENT_CONNECTIONS."
        )
    if isinstance(error, DroppedError) and callee.answer_limit and seconds >= callee.answer_limit - 1:
        return (
            f"The response was cut off after {callee.answer_limit:g} s, the limit of this agent; raise"
            " spec.serving.timeoutSeconds, or respond with an event."
        )
    return describe(error, callee.title)
