"""The tools that look after tasks: a2a_task_status and a2a_task_cancel.

A task of somebody else, one of another scope and one that is not there get the same text.
"""

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.operations import Operation
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp import answering, platform_calls
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform_calls import ToolError
from lambdaagent.mcp.protocol import McpError
from lambdaagent.store.records import TaskRecord


async def status(call: McpCall, given: Json) -> Json:
    entry, record = await _of(call, given["task_id"], Operation.GET)
    return platform_calls.result(record.task, entry)


async def cancel(call: McpCall, given: Json) -> Json:
    entry, record = await _of(call, given["task_id"], Operation.CANCEL)
    try:
        client = await requester(call.request, entry, Operation.CANCEL)
        task = await call.services.tasks.cancel(entry.callee, record.id, client=client)
    except A2AError as error:
        raise ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be canceled now: {error}.") from None
    found = platform_calls.result(task, entry)
    return {name: value for name, value in found.items() if name != "isError"}  # that it is canceled was asked for


async def _of(call: McpCall, task_id: str, operation: Operation) -> tuple[Entry, TaskRecord]:
    try:
        return await answering.task_of(call, task_id, operation)
    except McpError:
        raise ToolError(f"There is no task {task_id[:64]!r} of yours.") from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be read now: {error}.") from None
