"""What a call's host gets of a task that has ended: the result that the tool's definition promises."""

from lambdaagent.a2a import Json
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import schemas
from lambdaagent.mcp import platform_results, results
from lambdaagent.mcp.platform_tools import NAMES


async def of_task(call: McpCall, entry: Entry, skill: str | None, task: Json) -> Json:
    tool = _platform_tool(call, task)
    if tool is not None:
        return platform_results.result(task, entry.agent.key, reason=platform_results.reason_of(task), tool=tool)
    result = results.of_task(task, any_data=call.message.modern)
    found = entry.callee.skills.get(skill) if skill is not None else None
    return result if found is None else await schemas.checked(call, entry, found, result)


def _platform_tool(call: McpCall, task: Json) -> str | None:
    """Return which of the platform's tools the result is for: the one that is called, else the one that began the task.

    A call may go on with a task that another tool began, or that an A2A client did, who writes metadata as it likes.
    """
    if call.message.method != "tools/call":
        return platform_results.tool_of(task)
    name = call.message.params.get("name")
    return str(name) if call.entry is None and name in NAMES else None
