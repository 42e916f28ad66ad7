"""`tools/call`: a tool is a skill of an agent, or one of the platform's own."""

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.access import limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.mcp import tools
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import agent_call, schemas
from lambdaagent.gateway.mcp.platform import platform_tools
from lambdaagent.mcp import capabilities, results
from lambdaagent.mcp.protocol import Code, McpError
from lambdaagent.mcp.tools import ArgumentError


async def called(call: McpCall) -> Json | web.StreamResponse:
    name = call.message.params.get("name")
    if not isinstance(name, str):
        raise McpError(Code.INVALID_PARAMS, "params.name must be a text.")
    if (own := platform_tools.find(call, name)) is not None:
        return await own.called(call)
    found = await tools.find(call, name)
    if found is None:
        raise McpError(Code.INVALID_PARAMS, f"There is no tool {name[:128]!r}.")
    entry, skill = found
    if call.entry is None:  # below an agent, the request is counted already
        limiting.require_agent(call.services, entry, call.request[PRINCIPAL])

    async def make() -> Json:
        _require_tasks(call, skill, name)
        return await schemas.message(call, entry, skill)

    try:
        return await agent_call.run(call, entry, skill.id, make)
    except ArgumentError as error:
        return results.failure(str(error))


def _require_tasks(call: McpCall, skill: Skill, name: str) -> None:
    """Raises McpError, or ArgumentError before 2026-07-28, for a skill that runs for longer than the host waits."""
    if skill.invocation.task_support != "required" or capabilities.has_tasks(call.message.capabilities):
        return
    if call.message.modern:
        capabilities.require_tasks(call.message.capabilities, f"The tool {name[:128]}")
    raise ArgumentError(
        f"The tool {name[:128]} runs for long. Call a2a_execute_task with wait: false, then a2a_task_status."
    )
