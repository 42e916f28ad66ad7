"""Messages that the platform's tools send, and tasks as their results."""

from dataclasses import dataclass

from aiohttp import web

from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.states import Role
from lambdaagent.api.skills import Skill
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.calls import agent_call
from lambdaagent.mcp import platform_results
from lambdaagent.mcp.extension import TOOL
from lambdaagent.tasks.requests import PRIORITY


class ToolError(Exception):
    """The tool cannot do what it was called for; the message tells the host's model why, and what to do."""


def no_agent(agent_id: str) -> ToolError:
    return ToolError(f"There is no agent {agent_id[:127]!r} that you may call; a2a_discover_agents lists those.")


@dataclass(frozen=True, slots=True)
class Order:
    """What an agent is told to do, and by which tool; `reason` is why this agent."""

    tool: str
    data: Json
    reason: str = ""
    context_id: str = ""
    priority: int | None = None


async def answered(call: McpCall, entry: Entry, skill: Skill | None, order: Order) -> Json | web.StreamResponse:
    """Call the agent and wait for its answer, as long as the host does. Raises ToolError, McpError."""
    limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
    return await agent_call.run(call, entry, skill.id if skill else None, lambda: _message(call, entry, skill, order))


async def begun(call: McpCall, entry: Entry, skill: Skill | None, order: Order) -> Json:
    """Send the message to the agent, and return its task at once. Raises ToolError."""
    limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
    try:
        await authorization.require_operation(call.request, entry, Operation.SEND)
        if not entry.ready:
            raise ToolError(f"The agent {entry.agent.key} cannot be called: {entry.why_not}.")
        client = await requester(call.request, entry, Operation.SEND)
        if client.admit is not None:  # before the data: what is wrong with it tells of the schema
            client.admit(skill.id if skill is not None else None)
        message = await _message(call, entry, skill, order)
        sent = params.send({"message": message, "configuration": {"returnImmediately": True}})
        task = await call.services.tasks.send(entry.callee, sent, client=client)
    except A2AError as error:
        raise ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The agent {entry.agent.key} cannot be called now: {error}.") from None
    return platform_results.result(task, entry.agent.key, reason=order.reason, tool=order.tool)


async def _require_valid(call: McpCall, entry: Entry, skill: Skill | None, data: Json) -> None:
    checker = entry.checker(skill.input_schema) if skill is not None else None
    if checker is not None and (
        wrong := await call.services.schema_checks.violations(checker, data, name="input_data")
    ):
        raise ToolError("; ".join(wrong) + ".")


async def _message(call: McpCall, entry: Entry, skill: Skill | None, order: Order) -> Json:
    """Return the message: the data as it is, or as text if it is one and the skill has no schema. Raises ToolError."""
    await _require_valid(call, entry, skill, order.data)
    data = order.data
    is_text = set(data) == {"text"} and isinstance(data["text"], str) and (skill is None or skill.input_schema is None)
    metadata: Json = {TOOL: {"name": order.tool, "reason": order.reason}}
    if skill is not None:
        metadata["skillId"] = skill.id
    if order.priority:
        metadata[PRIORITY] = order.priority
    return {
        "messageId": call.services.clock.new_id(),
        "role": str(Role.USER),
        "parts": [{"text": data["text"]} if is_text else {"data": data}],
        "metadata": metadata,
    } | ({"contextId": order.context_id} if order.context_id else {})
