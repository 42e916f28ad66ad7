"""The methods of the Tasks extension: get, update, cancel. Any replica serves them, from the task store."""

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering, outcomes
from lambdaagent.mcp import input as asked
from lambdaagent.mcp import tasks
from lambdaagent.mcp.capabilities import require_tasks
from lambdaagent.store.records import TaskRecord


async def get(call: McpCall) -> Json:
    return await detailed(call, *await _task(call, Operation.GET))


async def update(call: McpCall) -> Json:
    """Take answers. Those to what is not asked are ignored, so that a repeated update has no effect."""
    entry, record = await _task(call, Operation.SEND)
    answers = asked.answers(call.message.params.get("inputResponses"))
    if asked.waits(record.task):
        message = await answering.answer(call, entry, record.task, answers)
        if message is not None:
            await answering.send(call, entry, message)
    return {}


async def cancel(call: McpCall) -> Json:
    """Cancel the task. A task that has ended stays as it is, and the answer is the same."""
    entry, record = await _task(call, Operation.CANCEL)
    client = await requester(call.request, entry, Operation.CANCEL)
    try:
        await call.services.tasks.cancel(entry.callee, record.id, client=client)
    except A2AError as error:
        if error.problem is not Problem.TASK_NOT_CANCELABLE:
            raise
    return {}


async def detailed(call: McpCall, entry: Entry, record: TaskRecord) -> Json:
    """Return the task with its result, which is checked like that of any call."""
    found = tasks.detailed(record.task, times(call, record))
    if "result" in found:
        found["result"] = await outcomes.of_task(call, entry, record.skill, record.task)
    return found


def times(call: McpCall, record: TaskRecord) -> tasks.Times:
    return tasks.Times(record.created, record.updated, call.services.tasks.kept)


async def _task(call: McpCall, operation: Operation) -> tuple[Entry, TaskRecord]:
    require_tasks(call.message.capabilities, f"The method {call.message.method}")
    return await answering.counted(call, call.message.params.get("taskId"), operation)
