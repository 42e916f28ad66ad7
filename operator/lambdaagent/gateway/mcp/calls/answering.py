"""The host's answers to what a task asks, however they come: with the call again, by `tasks/update`, or as responses to
requests of ours. Any replica takes them.
"""

from collections.abc import Mapping

from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import input as asked
from lambdaagent.mcp.protocol import Code, McpError
from lambdaagent.store.records import TaskRecord


async def task_of(call: McpCall, task_id: object, operation: Operation) -> tuple[Entry, TaskRecord]:
    """Return a task of the caller and its agent.

    Raises McpError, with one text for what is not there and what is another's.
    """
    return await _task_of(call, task_id, operation, counts=False)


async def counted(call: McpCall, task_id: object, operation: Operation) -> tuple[Entry, TaskRecord]:
    """Return what `task_of` does, and count the request at the task's agent. Raises McpError, ProblemError (429)."""
    return await _task_of(call, task_id, operation, counts=call.entry is None)  # below an agent, it is counted already


async def _task_of(call: McpCall, task_id: object, operation: Operation, *, counts: bool) -> tuple[Entry, TaskRecord]:
    unknown = McpError(Code.INVALID_PARAMS, "There is no such task.")
    if not isinstance(task_id, str) or not task_id.isprintable() or len(task_id) > 128:
        raise unknown
    place = await call.services.tasks.agent_of(task_id)
    if call.entry is not None:  # that the caller may know of it is decided already
        entry = call.entry if place == call.entry.key else None
    else:
        entry = call.services.directory.find(*place) if place is not None else None
        entry = await authorization.seen(call.request, entry, asked=place or ("", ""))
    if entry is None or not (entry.enabled and call.covers(entry)):
        raise unknown
    try:
        await authorization.require_operation(call.request, entry, operation)
        if counts:
            limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
        client = await requester(call.request, entry, operation)
        return entry, await call.services.tasks.read(entry.callee, task_id, client=client)
    except A2AError as error:
        if error.problem is Problem.PERMISSION_DENIED:
            raise McpError(Code.FORBIDDEN, str(error)) from None
        raise unknown from None


async def answer(call: McpCall, entry: Entry, task: Json, answers: Mapping[str, Json]) -> Json | None:
    """Return the message with which the task goes on; None if it waits for more answers, or ends without one.

    Answers to what was not asked are ignored, and so are those to what was answered.
    """
    waiting = asked.pending(task)
    fresh = {name: found for name, found in answers.items() if name in waiting}
    if not fresh:
        return None
    services = call.services
    if asked.is_plain(task) and asked.is_refused(fresh):
        client = await requester(call.request, entry, Operation.CANCEL)
        await services.tasks.cancel(entry.callee, task["id"], client=client)
        return None
    if len(fresh) == len(waiting):
        return asked.message(task, asked.given(task) | fresh, message_id=services.clock.new_id())
    client = await requester(call.request, entry, Operation.SEND)
    await services.tasks.note(entry.callee, task["id"], asked.noted(task, fresh), client=client)
    now = (await services.tasks.read(entry.callee, task["id"], client=client)).task
    if asked.waits(now) and asked.given(now) and not asked.pending(now):  # another replica noted the others meanwhile
        return asked.message(now, asked.given(now), message_id=services.clock.new_id())
    return None


async def send(call: McpCall, entry: Entry, message: Json) -> None:
    """Let the task go on, without waiting for it. Raises A2AError, TemporaryError."""
    await authorization.require_operation(call.request, entry, Operation.SEND)
    client = await requester(call.request, entry, Operation.SEND)
    request = params.send({"message": message, "configuration": {"returnImmediately": True}})
    try:
        await call.services.tasks.send(entry.callee, request, client=client)
    except A2AError as error:
        if error.problem is not Problem.UNSUPPORTED_OPERATION:  # the task goes on already, by the same answers
            raise
