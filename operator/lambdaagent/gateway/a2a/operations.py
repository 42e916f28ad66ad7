"""The A2A operations, shared by both bindings: they take parameters and return a response in the client's dialect.

A binding finds the operation and frames its result. The operations in UNARY return one response, those in STREAMED a
stream of events, which may raise before its first event.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from aiohttp import web

from lambdaagent.a2a import Json, extension_methods, extensions, listing, params, push, versions
from lambdaagent.a2a.dialects import Dialect
from lambdaagent.a2a.errors import A2AError, Problem, not_found
from lambdaagent.a2a.operations import Operation, unsupported
from lambdaagent.a2a.tasks import answer
from lambdaagent.a2a.versions import Version
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.discovery import cards
from lambdaagent.gateway.services import SERVICES
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.messages import may_be_message
from lambdaagent.tasks.requests import Requester, StreamEvent

LAST_EVENT_ID = "Last-Event-ID"
_MESSAGES = (Operation.SEND, Operation.STREAM)


class NotReadyError(TemporaryError):
    """The agent's container cannot be called yet."""


@dataclass(frozen=True, slots=True)
class OperationCall:
    """One call of an operation. `params` are in the 1.0 form."""

    operation: Operation
    entry: Entry
    engine: Engine
    dialect: Dialect
    client: Requester
    params: Json
    last_event_id: str | None = None
    extensions: tuple[str, ...] = ()  # URIs of the extensions that the client requests
    extended_card: Callable[[], bytes] = bytes  # raises A2AError if the agent has none
    require_push: Callable[[], Awaitable[None]] | None = None  # raises A2AError if the caller may have no push receiver

    def event(self, event: StreamEvent) -> Json:
        return self.dialect.event(event.event, self.operation is Operation.STREAM)


async def prepare(
    request: web.Request, entry: Entry, dialect: Dialect, operation: Operation, given: Json
) -> OperationCall:
    """Return the call. Raises A2AError if the caller may not call the operation, if the agent does not offer it or the
    version, or if the parameters or headers are invalid.
    """
    await authorization.require_operation(request, entry, operation)
    said = request.headers.get(versions.HEADER)
    if said is None and versions.HEADER in request.query_string:
        said = request.query.get(versions.HEADER)
    versions.parse(said)
    versions.require(dialect.version, offered=entry.offered)
    if (operation.streamed and not entry.callee.streams) or (operation.push and not entry.pushes):
        raise unsupported(operation)
    asked: tuple[str, ...] = ()
    if operation in _MESSAGES:
        params.require_few_parts(given, most=request.app[SERVICES].config.max_parts)
        asked = extensions.asked(request.headers)
        extensions.require(entry.extensions, asked)
    reader = dialect.readers.get(operation)
    return OperationCall(
        operation=operation,
        entry=entry,
        engine=request.app[SERVICES].tasks,
        dialect=dialect,
        client=await requester(request, entry, operation),
        params=reader(given) if reader is not None else given,
        last_event_id=request.headers.get(LAST_EVENT_ID) if operation is Operation.SUBSCRIBE else None,
        extensions=extension_methods.others(asked),
        extended_card=partial(cards.extended, request, entry, dialect.version),
        require_push=partial(authorization.require_operation, request, entry, Operation.PUSH_PUT),
    )


async def _send(call: OperationCall) -> Json:
    request = await _message(call)
    task = await call.engine.send(call.entry.callee, request, client=call.client)
    return call.dialect.sent(answer(task) if may_be_message(request) else {"task": task})


async def _stream(call: OperationCall) -> AsyncGenerator[StreamEvent, None]:
    request = await _message(call)
    async with aclosing(call.engine.stream(call.entry.callee, request, client=call.client)) as events:
        async for event in events:
            yield event


async def _message(call: OperationCall) -> params.Send:
    streamed = call.operation is Operation.STREAM
    request = params.send(call.params, wire=call.dialect.version, extensions=call.extensions, streamed=streamed)
    if request.push is not None and not call.entry.pushes:
        raise A2AError(Problem.PUSH_NOT_SUPPORTED)
    if request.push is not None and call.require_push is not None:
        await call.require_push()  # a receiver that comes with a message needs the right that one on its own needs
    if not call.entry.ready:
        raise NotReadyError(f"the agent {call.entry.agent.key} cannot be called: {call.entry.why_not}")
    return request


async def _get(call: OperationCall) -> Json:
    return call.dialect.task(await call.engine.get(call.entry.callee, params.get(call.params), client=call.client))


async def _list(call: OperationCall) -> Json:
    query = listing.find(call.params)
    found = await call.engine.find(call.entry.callee, query, client=call.client)
    tasks = [call.dialect.task(task) for task in found.tasks]
    return listing.page(tasks, size=query.page_size, total=found.total, next_token=found.next_token)


async def _cancel(call: OperationCall) -> Json:
    task_id = params.task_id(call.params)
    return call.dialect.task(await call.engine.cancel(call.entry.callee, task_id, client=call.client))


def _subscribe(call: OperationCall) -> AsyncGenerator[StreamEvent, None]:
    task_id = params.task_id(call.params)
    return call.engine.subscribe(call.entry.callee, task_id, client=call.client, last_event_id=call.last_event_id)


async def _put_push(call: OperationCall) -> Json:
    config = push.create(call.params)
    made = await call.engine.put_push(call.entry.callee, config, wire=call.dialect.version, client=call.client)
    return call.dialect.push(made)


async def _get_push(call: OperationCall) -> Json:
    task_id, push_id = push.reference(call.params, whole=call.dialect.version is not Version.V03)
    if push_id:
        return call.dialect.push(await call.engine.get_push(call.entry.callee, task_id, push_id, client=call.client))
    configs = await call.engine.list_push(call.entry.callee, task_id, client=call.client)
    if not configs:
        raise not_found(f"task {task_id[:64]!r} has no push notification configuration.", task_id=task_id)
    return call.dialect.push(configs[0])


async def _list_push(call: OperationCall) -> Any:
    task_id, _ = push.reference(call.params, whole=False)
    return call.dialect.pushes(await call.engine.list_push(call.entry.callee, task_id, client=call.client))


async def _drop_push(call: OperationCall) -> Any:
    task_id, push_id = push.reference(call.params)
    await call.engine.drop_push(call.entry.callee, task_id, push_id, client=call.client)
    return call.dialect.dropped


async def _extended_card(call: OperationCall) -> Any:
    return orjson.Fragment(call.extended_card())


UNARY: Mapping[Operation, Callable[[OperationCall], Awaitable[Any]]] = {
    Operation.SEND: _send,
    Operation.GET: _get,
    Operation.LIST: _list,
    Operation.CANCEL: _cancel,
    Operation.PUSH_PUT: _put_push,
    Operation.PUSH_GET: _get_push,
    Operation.PUSH_LIST: _list_push,
    Operation.PUSH_DROP: _drop_push,
    Operation.EXTENDED_CARD: _extended_card,
}
STREAMED: Mapping[Operation, Callable[[OperationCall], AsyncGenerator[StreamEvent, None]]] = {
    Operation.STREAM: _stream,
    Operation.SUBSCRIBE: _subscribe,
}
