"""The tools that look after tasks: a2a_task_status and a2a_task_cancel.

A task of somebody else, one of another scope and one that is not there get the same text.
"""

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.params import Get
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform.platform_calls import ToolError
from lambdaagent.mcp import platform_results
from lambdaagent.tasks.requests import Requester

_HIDDEN = (Problem.TASK_NOT_FOUND, Problem.PERMISSION_DENIED)


async def status(call: McpCall, given: Json) -> Json:
    task, entry = await read(call, given["task_id"])
    return platform_results.result(task, entry.agent.key)


async def cancel(call: McpCall, given: Json) -> Json:
    task_id = given["task_id"]
    try:
        entry, client = await _of(call, task_id, Operation.CANCEL)
        task = await call.services.tasks.cancel(entry.callee, task_id, client=client)
    except A2AError as error:
        raise _no_task(task_id) if error.problem in _HIDDEN else ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be canceled now: {error}.") from None
    found = platform_results.result(task, entry.agent.key)
    return {name: value for name, value in found.items() if name != "isError"}  # that it is canceled was asked for


async def read(call: McpCall, task_id: str) -> tuple[Json, Entry]:
    """Return a task of the caller's with its agent. Raises ToolError."""
    try:
        entry, client = await _of(call, task_id, Operation.GET)
        return await call.services.tasks.get(entry.callee, Get(task_id), client=client), entry
    except A2AError as error:
        raise _no_task(task_id) if error.problem in _HIDDEN else ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The task cannot be read now: {error}.") from None


async def _of(call: McpCall, task_id: str, operation: Operation) -> tuple[Entry, Requester]:
    """Return the agent of the task, and the caller as its requester. Raises A2AError, and ToolError for no task."""
    key = await call.services.tasks.agent_of(task_id)
    entry = call.services.directory.find(*key) if key is not None else None
    entry = await authorization.seen(call.request, entry, asked=key or ("", ""))
    if entry is None or not (entry.enabled and call.covers(entry)):
        raise _no_task(task_id)
    await authorization.require_operation(call.request, entry, operation)
    limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
    return entry, await requester(call.request, entry, operation)


def _no_task(task_id: str) -> ToolError:
    return ToolError(f"There is no task {task_id[:64]!r} of yours.")
