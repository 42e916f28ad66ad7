"""Tasks as the results of the platform's tools: what the agent said, and which task of which agent that is."""

from collections.abc import Mapping
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.tasks import state_of
from lambdaagent.mcp import results
from lambdaagent.mcp.extension import TOOL
from lambdaagent.mcp.platform_tools import ASK, NAMES


def tool_of(task: Json) -> str | None:
    """Return which of the platform's tools began the task; None if none of them did."""
    name = _began(task).get("name")
    return name if isinstance(name, str) and name in NAMES else None


def reason_of(task: Json) -> str:
    """Return why the platform's tool chose the agent; "" if none did."""
    reason = _began(task).get("reason")
    return reason if tool_of(task) is not None and isinstance(reason, str) else ""


def _began(task: Json) -> Mapping[str, Any]:
    for message in task.get("history", ())[:1]:
        found = message.get("metadata", {}).get(TOOL)
        if isinstance(found, dict):
            return found
    return {}


def result(task: Json, agent: str, *, reason: str = "", tool: str = "") -> Json:
    """Return the result; `agent` is `namespace/name`, `tool` the tool that began the task."""
    found = results.of_task(task, any_data=True)
    output = found.pop("structuredContent", None)
    texts = [block["text"] for block in found["content"] if block["type"] == "text"]
    state = state_of(task)
    structured: Json = {
        "task_id": task["id"],
        "context_id": task["contextId"],
        "agent_id": agent,
        "skill_id": _skill_of(task),
        "status": state.v03,
        "output": output if output is not None else "\n".join(texts),
        **({"reason": reason} if reason else {}),
        **({"answered": True} if tool == ASK else {}),
    }
    said = f"Task {task['id']} of the agent {agent} is {state.v03}."
    found["content"].append({"type": "text", "text": f"{said} {reason}".strip()})
    return found | {"structuredContent": structured}


def _skill_of(task: Json) -> str:
    for message in task.get("history", ()):
        named = message.get("metadata", {}).get("skillId")
        if isinstance(named, str):
            return named
    return ""
