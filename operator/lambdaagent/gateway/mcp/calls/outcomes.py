"""What a call's host gets of a task that has ended: the result that the tool's definition promises."""

from lambdaagent.a2a import Json
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import schemas
from lambdaagent.mcp import platform_results, results


async def of_task(call: McpCall, entry: Entry, skill: str | None, task: Json) -> Json:
    tool = platform_results.tool_of(task)
    if tool is not None:
        reason, name = str(tool.get("reason", "")), str(tool.get("name", ""))
        return platform_results.result(task, entry.agent.key, reason=reason, tool=name)
    return await _checked(call, entry, skill, results.of_task(task, any_data=call.message.modern))


async def of_message(call: McpCall, entry: Entry, skill: str | None, message: Json) -> Json:
    """Return the result of an agent that answered without a task."""
    return await _checked(call, entry, skill, results.of_message(message))


async def _checked(call: McpCall, entry: Entry, skill: str | None, result: Json) -> Json:
    found = entry.callee.skills.get(skill) if skill is not None else None
    return result if found is None else await schemas.checked(call, entry, found, result)
