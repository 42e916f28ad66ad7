"""A task at a container that is an A2A server, of either version: its requests, and its responses as updates.

The container gives its task its own id, which is stored with our task (`remote`) and never shown. If the client waits
for the end of its task, the container gets a blocking send too. Otherwise the task is streamed if the card and the
resource allow it; if the response ends before the task does, the task is polled until it settles.

Hazard: a task that is given up here must be cancelled at the container, even if the container has not yet sent its id.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import structlog

from lambdaagent.a2a import Json, tolerant_reader
from lambdaagent.a2a.errors import Problem
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.a2a.versions import Version
from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.containers import a2a_endpoint
from lambdaagent.containers.a2a_endpoint import A2aEndpoint
from lambdaagent.containers.a2a_requests import A2aRequests, RemoteError, send_params
from lambdaagent.containers.a2a_responses import A2aResponses
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.cold_start import until_connected
from lambdaagent.containers.external import ExternalCalls
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.containers.who_asks import NotCalledError, WhoAsks
from lambdaagent.errors import words
from lambdaagent.httpclient.client import HttpClient, Response
from lambdaagent.httpclient.errors import (
    BadAnswerError,
    BadTargetError,
    BusyError,
    ConnectError,
    RefusedMessageError,
    UpstreamError,
)
from lambdaagent.httpclient.wire import Target

log = structlog.get_logger(__name__)

_GIVEN_UP_SECONDS = 3.0  # for the cancellation of a task without a waiting client
_CANCEL_SECONDS = 10.0  # for a cancellation whose client waits for the answer
_LISTED = 20


@dataclass(frozen=True, slots=True)
class _Answer:
    """The beginning of a response; its owner must leave the response's context."""

    response: Response
    first: Any
    rest: AsyncGenerator[Any, None]

    async def results(self) -> AsyncGenerator[Any, None]:
        if self.first is not None:
            yield self.first
            async for result in self.rest:
                yield result


class A2aContainer:
    def __init__(
        self,
        *,
        client: HttpClient,
        clock: Clock,
        cold_start: float,
        told: WhoAsks,
        external: ExternalCalls | None = None,
    ) -> None:
        """With `external`, the agents are external ones, and `client` is its client."""
        self._cold_start = cold_start
        self._client = client
        self._clock = clock
        self._told = told
        self._calls = A2aRequests(client=client, clock=clock, told=told, external=external)
        # Container tasks that are streamed or polled here, and those among them that `cancel` has cancelled.
        self._running: set[tuple[str, str]] = set()
        self._canceled: set[tuple[str, str]] = set()

    async def stream(self, turn: Turn, target: Target) -> AsyncGenerator[list[Json], None]:
        """Yield the task's updates.

        Raises UpstreamError if the container cannot be asked, RefusedMessageError if it refuses.
        """
        endpoint = await until_connected(
            lambda _: self._endpoint(turn.callee, target, turn.origin),
            seconds=turn.timeout,
            patience=self._cold_start,
        )
        reading = A2aResponses(self._clock, turn.remote)
        begun = asyncio.create_task(self._begin(turn, target, endpoint))
        answer: _Answer | None = None
        try:
            answer = await asyncio.shield(begun)
            async with answer.response:
                async for result in answer.results():
                    before = reading.remote
                    updates = reading.updates(tolerant_reader.stream_response(result))
                    self._note(turn, reading.remote, before)  # before the yield, at which the reader may stop
                    yield updates
                    await asyncio.sleep(0)  # Many results may arrive at once, and other tasks must run.
            if last := reading.end():
                yield last
            backoff = Backoff(first=0.5, cap=5.0)
            while not reading.settled:
                await asyncio.sleep(backoff.next())
                params = endpoint.of_task(reading.remote, turn.context_id)
                result = await self._calls.one(
                    target, endpoint, "get", params, seconds=turn.timeout, callee=turn.callee, origin=turn.origin
                )
                if updates := reading.updates({"task": tolerant_reader.task(result)}):
                    yield updates
        except ValueError as error:
            raise BadAnswerError(f"its response is not A2A {endpoint.version}: {error}") from None
        except RemoteError as error:
            if not reading.begun:
                raise RefusedMessageError(error.code, error.said) from None
            raise
        finally:
            if answer is None:
                await self._give_up(begun, reading)
            key = (turn.callee.key, reading.remote)
            self._running.discard(key)
            if key in self._canceled:
                self._canceled.discard(key)
            elif not reading.settled and (answer is not None or not _knows_nothing(begun)):
                await self._forget(turn, target, endpoint, reading.remote)

    async def cancel(self, callee: Callee, target: Target, remote: str, *, context_id: str, origin: Origin) -> None:
        """Return if the task is cancelled, or if the container does not know it or cannot be asked.

        Raises RefusedMessageError if the container answers that the task is not cancelled.
        """
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                endpoint = await self._endpoint(callee, target, origin)
                params = endpoint.of_task(remote, context_id)
                result = await self._calls.one(
                    target, endpoint, "cancel", params, seconds=_CANCEL_SECONDS, callee=callee, origin=origin
                )
            state = state_of(tolerant_reader.task(result))
        except RemoteError as error:
            if error.code == Problem.TASK_NOT_FOUND.value.code:
                return
            raise RefusedMessageError(error.code, error.said) from None
        except (UpstreamError, BadTargetError, NotCalledError, TimeoutError, ValueError) as error:
            log.info("task.cancel_failed", agent=callee.key, error=words(error))
            return
        if state.terminal and state is not TaskState.CANCELED:
            raise RefusedMessageError(Problem.TASK_NOT_CANCELABLE.value.code, "the task has ended")
        if (callee.key, remote) in self._running:
            self._canceled.add((callee.key, remote))

    async def _endpoint(self, callee: Callee, target: Target, origin: Origin) -> A2aEndpoint:
        told = self._told.headers(callee, replace(origin, headers=()))
        return await a2a_endpoint.find(self._client, callee, target, told=told)

    async def _begin(self, turn: Turn, target: Target, endpoint: A2aEndpoint) -> "_Answer":
        """Send the message and wait for the first result, which names the container's task."""
        waits = turn.request is not None and turn.request.blocking
        kind = "stream" if endpoint.streaming and turn.callee.streams and not waits else "send"
        params = send_params(turn, endpoint.version, blocking=waits or kind == "stream")
        response = await until_connected(
            lambda left: self._calls.ask(
                target,
                endpoint,
                kind,
                params,
                seconds=left,
                callee=turn.callee,
                origin=turn.origin,
                extensions=turn.request.extensions if turn.request is not None else (),
            ),
            seconds=turn.timeout,
            patience=self._cold_start,
        )
        results = self._calls.results(response)
        try:
            return _Answer(response, await anext(results, None), results)
        except BaseException:
            async with response:
                raise

    def _note(self, turn: Turn, remote: str, before: str) -> None:
        """Note the id of the container's task.

        It may change with every result; only the newest is kept, and removed at the end.
        """
        if remote != before:
            self._running.discard((turn.callee.key, before))
            self._canceled.discard((turn.callee.key, before))
        if remote:
            self._running.add((turn.callee.key, remote))

    async def _give_up(self, begun: "asyncio.Task[_Answer]", reading: A2aResponses) -> None:
        """Wait a short time for the first result, which may name the task: the container works on it in any case."""
        if reading.remote:
            begun.cancel()
        await asyncio.wait([begun], timeout=_GIVEN_UP_SECONDS)
        if not begun.done():
            await cancel(begun)
        if begun.cancelled() or begun.exception() is not None:
            return
        answer = begun.result()
        async with answer.response:
            try:
                reading.updates(tolerant_reader.stream_response(answer.first))
            except ValueError:
                return

    async def _forget(self, turn: Turn, target: Target, endpoint: A2aEndpoint, remote: str) -> None:
        """Cancel the container's task of a call that was given up. No client waits for the answer."""
        try:
            async with asyncio.timeout(_GIVEN_UP_SECONDS):
                named = [remote] if remote else await self._unnamed(turn, target, endpoint)
                for each in named:
                    params = endpoint.of_task(each, turn.context_id)
                    await self._calls.one(
                        target,
                        endpoint,
                        "cancel",
                        params,
                        seconds=_GIVEN_UP_SECONDS,
                        callee=turn.callee,
                        origin=turn.origin,
                    )
        except (UpstreamError, NotCalledError, TimeoutError, ValueError):
            pass  # the task has ended here, whether the container got the request or not

    async def _unnamed(self, turn: Turn, target: Target, endpoint: A2aEndpoint) -> list[str]:
        """Return the ids of the message's tasks at a container that sends an id only when a task has ended.

        0.3 cannot list tasks over JSON-RPC.
        """
        if endpoint.version is not Version.V1:
            return []
        params = {"contextId": turn.context_id, "pageSize": _LISTED}
        result = await self._calls.one(
            target, endpoint, "list", params, seconds=_GIVEN_UP_SECONDS, callee=turn.callee, origin=turn.origin
        )
        listed = result.get("tasks") if isinstance(result, dict) else None
        found = [tolerant_reader.task(each) for each in listed[:_LISTED]] if isinstance(listed, list) else []
        named = [task.get("id") for task in found if _works_on(task, turn.message.get("messageId"))]
        return [each for each in named if isinstance(each, str)]


_NO_TASK = (RemoteError, ConnectError, BusyError, BadTargetError)


def _works_on(task: Json, message_id: Any) -> bool:
    history = task.get("history")
    has_it = isinstance(history, list) and any(
        isinstance(each, dict) and each.get("messageId") == message_id for each in history
    )
    return has_it and not state_of(task).terminal


def _knows_nothing(begun: "asyncio.Task[_Answer]") -> bool:
    """Whether the container has no task for the message, because it refused the message or was never reached."""
    return not begun.cancelled() and isinstance(begun.exception(), _NO_TASK)
