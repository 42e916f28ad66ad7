"""A task at a container that is an A2A server itself, of either version: what is sent, and what comes back as updates.

The container gives its task an id of its own, which is stored with ours (`remote`) and never shown. It is streamed
where its card says that it can; where the stream ends before the task does, the task is asked for until it has.
A task that is given up here is cancelled there, also if the container has not yet said what it calls it.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from lambdaagent import bounded_json
from lambdaagent.a2a import Json, v03client
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.a2a.versions import HEADER, Version
from lambdaagent.agents import answers, endpoints, sse
from lambdaagent.agents.callee import Callee
from lambdaagent.agents.client import Client, Response
from lambdaagent.agents.clock import Clock
from lambdaagent.agents.codings import ACCEPT_ENCODING
from lambdaagent.agents.endpoints import Endpoint
from lambdaagent.agents.errors import BadAnswerError, UpstreamError
from lambdaagent.agents.wire import Target
from lambdaagent.backoff import Backoff
from lambdaagent.events import charsets
from lambdaagent.events.http import media_type

_METHODS = {
    Version.V1: {"stream": "SendStreamingMessage", "send": "SendMessage", "get": "GetTask", "cancel": "CancelTask"},
    Version.V03: {"stream": "message/stream", "send": "message/send", "get": "tasks/get", "cancel": "tasks/cancel"},
}
_CANCEL_SECONDS = 3.0


class Asked(Protocol):
    """Of a turn, what is needed here."""

    @property
    def callee(self) -> Callee: ...
    @property
    def message(self) -> Json: ...
    @property
    def context_id(self) -> str: ...
    @property
    def remote(self) -> str: ...
    @property
    def timeout(self) -> float: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whoever has it leaves the response's context."""

    response: Response
    first: Any
    rest: AsyncGenerator[Any, None]

    async def results(self) -> AsyncGenerator[Any, None]:
        if self.first is not None:
            yield self.first
            async for result in self.rest:
                yield result


class Relay:
    def __init__(self, *, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def stream(self, turn: Asked, target: Target) -> AsyncGenerator[list[Json], None]:
        """Raises UpstreamError where the container cannot be asked."""
        endpoint = await endpoints.find(self._client, turn.callee, target)
        remote, settled = turn.remote, False
        begun = asyncio.create_task(self._begin(turn, target, endpoint))
        answer: _Answer | None = None
        try:
            answer = await asyncio.shield(begun)
            async with answer.response:
                messages = answers.Messages(self._clock)
                async for result in answer.results():
                    event = _event(result, endpoint.version)
                    updates = _new(messages.updates(event), event)
                    if (found := _task_id(event)) and found != remote:
                        remote = found
                        updates = [{"remote": remote}, *updates]
                    settled = settled or answers.settles(updates)
                    yield updates
                    await asyncio.sleep(0)  # Many may have come at once, and others are to be served.
            if last := messages.end():
                settled = True
                yield last
            backoff = Backoff(first=0.5, cap=5.0)
            while remote and not settled:
                await asyncio.sleep(backoff.next())
                params = {"id": remote}
                async with await self._ask(target, endpoint, "get", params, seconds=turn.timeout) as response:
                    result = await anext(self._results(response))
                task = v03client.upgrade_task(result) if endpoint.version is Version.V03 else result
                updates = _new(answers.from_a2a({"task": task}, clock=self._clock), {"task": task})
                settled = answers.settles(updates)
                if settled:
                    yield updates
        except (ValueError, A2AError) as error:
            raise BadAnswerError(f"its answer is not A2A {endpoint.version}: {error}") from None
        finally:
            if answer is None:
                remote = await _given_up(begun, endpoint, remote=remote)
            if remote and not settled:
                await self._cancel(target, endpoint, remote)

    async def _begin(self, turn: Asked, target: Target, endpoint: Endpoint) -> "_Answer":
        """Up to the container's first word, which names its task."""
        kind = "stream" if endpoint.streaming else "send"
        response = await self._ask(target, endpoint, kind, _send(turn, endpoint), seconds=turn.timeout)
        results = self._results(response)
        try:
            return _Answer(response, await anext(results, None), results)
        except BaseException:
            async with response:
                raise

    async def _ask(self, target: Target, endpoint: Endpoint, kind: str, params: Json, *, seconds: float) -> Response:
        method = _METHODS[endpoint.version][kind]
        body = {"jsonrpc": "2.0", "id": self._clock.new_mark(), "method": method, "params": params}
        accept = "text/event-stream" if kind == "stream" else "application/json"
        return await self._client.request(
            target,
            path=endpoint.path,
            headers=[
                ("content-type", "application/json"),
                ("accept", accept),
                ACCEPT_ENCODING,
                (HEADER, str(endpoint.version)),
            ],
            body=orjson.dumps(body),
            first_byte=seconds,
            total=seconds,
        )

    async def _results(self, response: Response) -> AsyncGenerator[Any, None]:
        limit, content_type = self._client.limits.body_bytes, response.header("content-type") or ""
        if media_type(content_type) == answers.EVENT_STREAM:
            decoder = sse.Decoder(limit=limit, charset=charsets.declared(content_type) or charsets.UTF8)
            async for chunk in response.decoded(limit=None):
                for data in decoder.feed(chunk):
                    yield _result(data.encode(), response.status)
            for data in decoder.end():
                yield _result(data.encode(), response.status)
            return
        yield _result(charsets.json(await response.read(limit=limit), content_type), response.status)

    async def _cancel(self, target: Target, endpoint: Endpoint, remote: str) -> None:
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                params = {"id": remote}
                async with await self._ask(target, endpoint, "cancel", params, seconds=_CANCEL_SECONDS) as response:
                    await response.discard(limit=self._client.limits.body_bytes)
        except (UpstreamError, TimeoutError):
            pass  # it was told, or it is gone: the task has ended here either way


async def _given_up(begun: "asyncio.Task[_Answer]", endpoint: Endpoint, *, remote: str) -> str:
    """The container's name for a task that was given up before its first word; it works on it all the same."""
    if remote:
        begun.cancel()
    await asyncio.wait([begun], timeout=_CANCEL_SECONDS)
    if not begun.done():
        begun.cancel()
        await asyncio.wait([begun])
    if begun.cancelled() or begun.exception() is not None:
        return remote
    answer = begun.result()
    async with answer.response:
        try:
            return remote or _task_id(_event(answer.first, endpoint.version))
        except (ValueError, A2AError):
            return remote


def _send(turn: Asked, endpoint: Endpoint) -> Json:
    message = {key: value for key, value in turn.message.items() if key != "taskId"} | {"contextId": turn.context_id}
    if turn.remote:
        message["taskId"] = turn.remote
    if endpoint.version is Version.V03:
        return v03client.send(message, blocking=not endpoint.streaming)
    return {"message": message, "configuration": {"returnImmediately": False}}


def _result(body: bytes, status: int) -> Any:
    """Raises BadAnswerError with what the container says of its refusal."""
    try:
        answer = bounded_json.loads(body)
    except bounded_json.BoundError as bound:
        raise BadAnswerError(f"its answer is not taken: {bound}") from None
    except orjson.JSONDecodeError:
        raise BadAnswerError(f"it answers {status}: {answers.excerpt(body) or 'nothing'}") from None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        error = answer["error"]
        said = answers.excerpt(str(error.get("message", "")).encode())
        raise BadAnswerError(f"it refuses the message: {said} (code {error.get('code')})")
    if not isinstance(answer, dict) or "result" not in answer:
        raise BadAnswerError(f"it answers {status} without a JSON-RPC result: {answers.excerpt(body)}")
    return answer["result"]


def _event(result: Any, version: Version) -> Json:
    if version is Version.V03:
        return v03client.upgrade_event(result)
    if not isinstance(result, dict):
        raise ValueError("an A2A result is an object")
    update = result.get("artifactUpdate")
    if isinstance(update, dict):
        # ProtoJSON leaves out what is false.
        return {"artifactUpdate": {"append": False, "lastChunk": False, **update}}
    return result


def _new(updates: list[Json], event: Json) -> list[Json]:
    """A task that goes on says nothing new by its state alone."""
    if "task" in event:
        return [update for update in updates if "artifactUpdate" in update or answers.settles([update])]
    return updates


def _task_id(event: Json) -> str:
    task = event.get("task")
    if isinstance(task, dict) and isinstance(task.get("id"), str):
        # One that has ended takes no further messages, so there is nothing to keep.
        state = parse_state((task.get("status") or {}).get("state")) or TaskState.UNSPECIFIED
        return "" if state.terminal else str(task["id"])
    for name in ("statusUpdate", "artifactUpdate"):
        if isinstance(event.get(name), dict) and isinstance(event[name].get("taskId"), str):
            return str(event[name]["taskId"])
    return ""
