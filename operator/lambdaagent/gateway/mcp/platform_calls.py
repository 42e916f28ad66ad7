"""Messages that the platform's tools send, and tasks as their results."""

from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.states import Role
from lambdaagent.a2a.tasks import state_of
from lambdaagent.api.skills import Skill
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import results
from lambdaagent.tasks.requests import PRIORITY


class ToolError(Exception):
    """The tool cannot do what it was called for; the message tells the host's model why, and what to do."""


def no_agent(agent_id: str) -> ToolError:
    return ToolError(f"There is no agent {agent_id[:127]!r} that you may call; a2a_discover_agents lists those.")


async def send(
    call: McpCall,
    entry: Entry,
    skill: Skill | None,
    data: Json,
    *,
    wait: bool = True,
    context_id: str = "",
    priority: int | None = None,
) -> Json:
    """Send the data to the agent and return its task. Raises ToolError."""
    limiting.require_agent(call.services, entry, call.request[PRINCIPAL])
    message = _message(skill, data, message_id=call.services.clock.new_id(), context_id=context_id, priority=priority)
    try:
        await authorization.require_operation(call.request, entry, Operation.SEND)
        if not entry.ready:
            raise ToolError(f"The agent {entry.agent.key} cannot be called: {entry.why_not}.")
        client = await requester(call.request, entry, Operation.SEND)
        if client.admit is not None:  # before the data: what is wrong with it tells of the schema
            client.admit(skill.id if skill is not None else None)
        await _require_valid(call, entry, skill, data)
        sent = params.send({"message": message, "configuration": {"returnImmediately": not wait}})
        return await call.services.tasks.send(entry.callee, sent, client=client)
    except A2AError as error:
        if error.problem is Problem.INTERNAL:
            raise ToolError(f"The agent {entry.agent.key} did not answer: {error}") from None
        raise ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"The agent {entry.agent.key} cannot be called now: {error}.") from None


async def _require_valid(call: McpCall, entry: Entry, skill: Skill | None, data: Json) -> None:
    checker = entry.checker(skill.input_schema) if skill is not None else None
    if checker is not None and (
        wrong := await call.services.schema_checks.violations(checker, data, name="input_data")
    ):
        raise ToolError("; ".join(wrong) + ".")


def _message(skill: Skill | None, data: Json, *, message_id: str, context_id: str, priority: int | None) -> Json:
    """Return the message: the data as it is, or as text if it is one and the skill has no schema."""
    is_text = set(data) == {"text"} and isinstance(data["text"], str) and (skill is None or skill.input_schema is None)
    metadata = ({"skillId": skill.id} if skill is not None else {}) | ({PRIORITY: priority} if priority else {})
    return {
        "messageId": message_id,
        "role": str(Role.USER),
        "parts": [{"text": data["text"]} if is_text else {"data": data}],
        "metadata": metadata,
    } | ({"contextId": context_id} if context_id else {})


def result(task: Json, entry: Entry, *, reason: str = "", **more: Json | bool) -> Json:
    """Return a task as the result of a tool: what the agent said, and which task that is."""
    found = results.of_task(task, any_data=True)
    output = found.pop("structuredContent", None)
    texts = [block["text"] for block in found["content"] if block["type"] == "text"]
    state = state_of(task)
    structured: Json = {
        "task_id": task["id"],
        "context_id": task["contextId"],
        "agent_id": entry.agent.key,
        "skill_id": _skill_of(task),
        "status": state.v03,
        "output": output if output is not None else "\n".join(texts),
        **({"reason": reason} if reason else {}),
        **more,
    }
    said = f"Task {task['id']} of the agent {entry.agent.key} is {state.v03}."
    found["content"].append({"type": "text", "text": f"{said} {reason}".strip()})
    return found | {"structuredContent": structured}


def _skill_of(task: Json) -> str:
    for message in task.get("history", ()):
        named = message.get("metadata", {}).get("skillId")
        if isinstance(named, str):
            return named
    return ""
