"""Definitions of the platform's own tools, which find agents, call them and look after their tasks.

They are beside the skills' tools where an endpoint serves several agents. Their names have no `__`, so no skill's tool
has one of them.
"""

from lambdaagent.a2a import Json
from lambdaagent.mcp import coordination_tools
from lambdaagent.mcp.tool_schemas import object_, text, texts, tool

DISCOVER, EXECUTE, MESSAGE = "a2a_discover_agents", "a2a_execute_task", "a2a_message"
STATUS, CANCEL, ASK = "a2a_task_status", "a2a_task_cancel", "ask"
LIMIT, MOST = 20, 100
_TEXT = 1_000_000  # characters
_CONTEXT: Json = {
    "type": "string",
    "maxLength": 1024,
    "description": "Continues a conversation: the context_id of an earlier result.",
}
_AGENT: Json = {
    "type": "string",
    "maxLength": 255,
    "description": "The agent as a2a_discover_agents lists it: namespace/name, or the id of a registered one.",
}
_NAMESPACE: Json = {"type": "string", "maxLength": 63, "description": "Only agents of this namespace."}
_TASK_ID: Json = {"type": "string", "minLength": 1, "maxLength": 256, "description": "Id of a task of yours."}
_STATUS: Json = {
    "type": "string",
    "description": "submitted, working, input-required, auth-required, completed, failed, canceled or rejected.",
}


_CHOICE: Json = {
    "type": "object",
    "properties": {
        "agent_id": text("Id of the agent."),
        "skill_id": text("The skill."),
        "tool": text("Name of the tool that is this skill."),
        "description": text("What the skill does."),
        "reason": text("Why it matches."),
        "score": {"type": "integer", "description": "How well it matches."},
    },
    "required": ["agent_id", "skill_id", "tool", "description", "reason", "score"],
}
_RESULT: Json = {
    "task_id": text("Id of the task, for a2a_task_status and a2a_task_cancel."),
    "context_id": text("Continues the conversation as the argument context_id or session_id."),
    "agent_id": text("The agent that got the task, as namespace/name."),
    "skill_id": text("The skill that was called; empty if the agent was called without one."),
    "status": _STATUS,
    "reason": text("Why this agent and skill were chosen."),
    "output": {"description": "What the agent answered: JSON if the answer is JSON, else text."},
}


def _task(**more: Json) -> Json:
    properties = {**_RESULT, **more}
    return {"type": "object", "properties": properties, "required": ["task_id", "agent_id", "status"]}


DEFINITIONS: tuple[Json, ...] = (
    tool(
        DISCOVER,
        "Discover agents",
        "Lists the agents that you may call, with their skills. Use it to find an agent before a2a_execute_task.",
        object_(
            [],
            capability_filter=texts("Only agents that have all of these, each the id or a tag of a skill."),
            status={
                "enum": ["active", "inactive", "all"],
                "default": "active",
                "description": "active: it can be called, and starts if it sleeps, or is alive. inactive: neither.",
            },
            q={"type": "string", "maxLength": 256, "description": "Only agents with this text in a name, text or tag."},
            namespace=_NAMESPACE,
            cursor={"type": "string", "maxLength": 1024, "description": "The next_cursor of the page before."},
            limit={"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT, "description": "Agents a page."},
        ),
        {
            "type": "object",
            "properties": {
                "agents": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "agent_id": text("Id of the agent."),
                            "description": text("What it does."),
                            "status": text("active or inactive."),
                            "card_url": text("URL of its A2A agent card."),
                            "skills": {"type": "array", "items": {"type": "object"}},
                        },
                        "required": ["agent_id", "description", "status", "card_url", "skills"],
                    },
                },
                "next_cursor": text("The cursor of the next page; absent on the last one."),
            },
            "required": ["agents"],
        },
        reads=True,
    ),
    tool(
        EXECUTE,
        "Execute a task",
        "Has an agent do a task. task_type is the id or a tag of a skill; without agent_id one of the agents that have"
        " it is chosen. With wait false it returns at once: read the task with a2a_task_status.",
        object_(
            ["task_type", "input_data"],
            task_type={"type": "string", "minLength": 1, "maxLength": 256, "description": "Id or tag of a skill."},
            input_data={
                "type": "object",
                "description": "Arguments of the skill's tool, or any JSON object; a text alone as {text: ...}.",
            },
            agent_id=_AGENT,
            priority={
                "type": "integer",
                "minimum": 1,
                "maximum": 10,
                "default": 5,
                "description": "Where the agent limits its tasks at once, waiting tasks begin by priority, 10 first.",
            },
            wait={"type": "boolean", "default": True, "description": "Whether to wait for the result."},
            context_id=_CONTEXT,
            strategy={
                "enum": ["auto", "first"],
                "default": "auto",
                "description": "Of several agents: auto takes the one with the fewest tasks, first the first by name.",
            },
        ),
        _task(),
    ),
    tool(
        STATUS,
        "Task status",
        "Reads a task of yours: its status, and what the agent has answered so far.",
        object_(["task_id"], task_id=_TASK_ID),
        _task(),
        reads=True,
    ),
    tool(
        CANCEL,
        "Cancel a task",
        "Cancels a task of yours that has not ended.",
        object_(["task_id"], task_id=_TASK_ID),
        _task(),
    ),
    tool(
        MESSAGE,
        "Send a message",
        "Sends a message to an agent. A request waits for the answer; a notification is sent without waiting. An agent"
        " without an address gets it in its mailbox, and answers to yours.",
        object_(
            ["agent_id", "message_type", "content"],
            agent_id=_AGENT,
            message_type={"enum": ["request", "notification"], "description": "Whether to wait for the answer."},
            content={"type": "object", "description": "Any JSON object; a text alone as {text: ...}."},
            session_id=_CONTEXT,
        ),
        {
            "type": "object",
            "properties": {**_RESULT, "message_id": text("Id of the message, if it is in the agent's mailbox.")},
            "required": ["agent_id", "status"],
        },
    ),
    tool(
        ASK,
        "Ask an agent",
        "Finds the skill whose tags, names and description fit the question best, asks its agent and says who answered."
        " If several fit equally well, it returns them: ask again with agent.",
        object_(
            ["query"],
            query={"type": "string", "minLength": 1, "maxLength": _TEXT, "description": "The question."},
            agent=_AGENT,
            context_id=_CONTEXT,
            namespace=_NAMESPACE,
        ),
        {
            "type": "object",
            "properties": {
                **_RESULT,
                "answered": {"type": "boolean", "description": "Whether an agent was asked."},
                "candidates": {"type": "array", "items": _CHOICE, "description": "Skills to choose from."},
            },
            "required": ["answered"],
        },
    ),
    *coordination_tools.DEFINITIONS,
)
NAMES = frozenset(each["name"] for each in DEFINITIONS)
