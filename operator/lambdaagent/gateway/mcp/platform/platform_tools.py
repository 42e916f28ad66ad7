"""The platform's own tools, where an endpoint serves several agents: a caller finds, calls and reads by them what it
may call and read anyway.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from lambdaagent.a2a import Json
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import agent_call
from lambdaagent.gateway.mcp.platform import (
    platform_coordination,
    platform_discovery,
    platform_execution,
    platform_tasks,
)
from lambdaagent.gateway.mcp.platform.platform_calls import ToolError
from lambdaagent.json_schema.checker import Checker
from lambdaagent.mcp import coordination_tools, platform_tools, results
from lambdaagent.mcp.protocol import Code, McpError

_Handler = Callable[[McpCall, Json], Awaitable[Json | web.StreamResponse]]
_HANDLERS: Mapping[str, _Handler] = MappingProxyType(
    {
        platform_tools.DISCOVER: platform_discovery.discover,
        platform_tools.EXECUTE: platform_execution.execute,
        platform_tools.STATUS: platform_tasks.status,
        platform_tools.CANCEL: platform_tasks.cancel,
        platform_tools.MESSAGE: platform_execution.message,
        platform_tools.ASK: platform_execution.ask,
        coordination_tools.REGISTER: platform_coordination.register,
        coordination_tools.CONTEXT: platform_coordination.context,
        coordination_tools.PROPOSE: platform_coordination.propose,
        coordination_tools.VOTE: platform_coordination.vote,
        coordination_tools.CREATE_JOB: platform_coordination.create_job,
        coordination_tools.JOB_STATUS: platform_coordination.job_status,
    }
)


@dataclass(frozen=True, slots=True)
class PlatformTool:
    handler: _Handler
    checker: Checker

    async def called(self, call: McpCall) -> Json | web.StreamResponse:
        if "requestState" in call.message.params:
            return await agent_call.again(call)
        arguments = call.message.params.get("arguments", {})
        if not isinstance(arguments, dict):
            raise McpError(Code.INVALID_PARAMS, "arguments must be an object.")
        try:
            if wrong := await call.services.schema_checks.violations(self.checker, arguments, name="arguments"):
                raise ToolError("; ".join(wrong) + ".")
            return await self.handler(call, arguments)
        except ToolError as error:
            return results.failure(str(error))


_TOOLS: Mapping[str, PlatformTool] = MappingProxyType(
    {
        each["name"]: PlatformTool(_HANDLERS[each["name"]], Checker(each["inputSchema"]))
        for each in platform_tools.DEFINITIONS
    }
)


def find(call: McpCall, name: str) -> PlatformTool | None:
    return _TOOLS.get(name) if _offers(call, name) else None


def definitions(call: McpCall) -> list[Json]:
    return [each for each in platform_tools.DEFINITIONS if _offers(call, each["name"])]


def _offers(call: McpCall, name: str) -> bool:
    return call.entry is None and not (call.scope.namespace and name in coordination_tools.NAMES)
