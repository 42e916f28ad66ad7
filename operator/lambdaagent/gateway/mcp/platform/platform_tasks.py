"""The tools that look after tasks: a2a_task_status and a2a_task_cancel.

A task of somebody else, one of another scope and one that is not there get the same text.
"""

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.operations import Operation
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import answering
from lambdaagent.gateway.mcp.platform.platform_calls import ToolError
from lambdaagent.mcp import platform_results
from lambdaagent.mcp.protocol import McpError
from lambdaagent.store.records import TaskRecord


async def status(call: McpCall, given: Json) -> Json:
    entry, record = await _own(call, given["task_id"], Operation.GET)
    return platform_results.result(record.task, entry.agent.key)


async def cancel(call: McpCall, given: Json) -> Json:
    entry, record = await _own(call, given["task_id"], Operation.CANCEL)
    try:
        client = await requester(call.request, entry, Operation.CANCEL)
        task = await call.services.tasks.cancel(entry.callee, record.id, client=client)
    except A2AError as error:
        raise ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be canceled now: {error}.") from None
    found = platform_results.result(task, entry.agent.key)
    return {name: value for name, value in found.items() if name != "isError"}  # that it is canceled was asked for


async def _own(call: McpCall, task_id: str, operation: Operation) -> tuple[Entry, TaskRecord]:
    """Return a task of the caller's and its agent. Raises ToolError."""
    try:
        return await answering.counted(call, task_id, operation)
    except McpError:
        raise ToolError(f"There is no task {task_id[:64]!r} of yours.") from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be read now: {error}.") from None
