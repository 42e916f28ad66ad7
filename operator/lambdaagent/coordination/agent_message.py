"""The message of one agent to another in the form of requirement 003: as an A2A message, and the answer to it."""

from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role
from lambdaagent.clock import rfc3339
from lambdaagent.errors import PermanentError
from lambdaagent.mcp import results

KINDS = ("query", "response", "context", "capability")
_ID = 256  # characters
_VERSION = "1.0"


class BadAgentMessageError(PermanentError):
    """The message is none; the text names the field."""


@dataclass(frozen=True, slots=True)
class AgentMessage:
    sender: str
    receiver: str
    kind: str
    data: Json
    conversation: str = ""
    sequence: int = 0
    skill: str = ""

    @property
    def awaits_answer(self) -> bool:
        return self.kind in ("query", "capability")


def read(body: Any) -> AgentMessage:
    """Raises BadAgentMessageError."""
    if not isinstance(body, dict):
        raise BadAgentMessageError("the body is not one message")
    if body.get("version", _VERSION) != _VERSION:
        raise BadAgentMessageError(f"version must be {_VERSION}")
    sender, receiver = _id(body, "from"), _id(body, "to")
    content = body.get("content")
    if not isinstance(content, dict) or content.get("type") not in KINDS:
        raise BadAgentMessageError(f"content.type must be one of {', '.join(KINDS)}")
    data = content.get("data", {})
    if not isinstance(data, dict):
        raise BadAgentMessageError("content.data must be an object")
    sequence = body.get("sequence_id", 0)
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 <= sequence < 2**53:
        raise BadAgentMessageError("sequence_id must be a whole number")
    conversation = _id(body, "conversation_id") if body.get("conversation_id") is not None else ""
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise BadAgentMessageError("metadata must be an object")
    skill = _id(metadata, "skill_id") if "skill_id" in metadata else ""
    return AgentMessage(sender, receiver, str(content["type"]), data, conversation, sequence, skill)


def _id(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _ID or not value.isprintable():
        raise BadAgentMessageError(f"{name} must be a text of 1 to {_ID} printable characters")
    return value


def as_a2a(message: AgentMessage, *, message_id: str) -> Json:
    """Return the A2A message, in the 1.0 form: a text if the data is one, else the data."""
    text = message.data.get("query", message.data.get("text"))
    is_text = len(message.data) == 1 and isinstance(text, str)
    found: Json = {
        "messageId": message_id,
        "role": str(Role.USER),
        "parts": [{"text": text} if is_text else {"data": message.data}],
    }
    if message.skill:
        found["metadata"] = {"skillId": message.skill}
    return found | ({"contextId": message.conversation} if message.conversation else {})


def result(task: Json) -> Json:
    """Return what a task answered: its data, or its text; below `error` if it failed."""
    found = results.of_task(task)
    data: Json | None = found.get("structuredContent")
    if data is None:
        data = {"text": "\n".join(block["text"] for block in found["content"] if block["type"] == "text")}
    return {"error": data} if found.get("isError") else data


def answer(message: AgentMessage, task: Json, *, now: float) -> Json:
    """Return the agent's answer, in the form of the message."""
    return _answer(message, result(task), now=now) | {
        "conversation_id": task["contextId"],
        "metadata": {"task_id": task["id"], "state": task["status"]["state"]},
    }


def capability(message: AgentMessage, declaration: Json, *, now: float) -> Json:
    """Return the answer to the question what the agent can do."""
    found = _answer(message, declaration, now=now)
    return found | ({"conversation_id": message.conversation} if message.conversation else {})


def _answer(message: AgentMessage, data: Json, *, now: float) -> Json:
    return {
        "version": _VERSION,
        "type": "agent_message",
        "from": message.receiver,
        "to": message.sender,
        "sequence_id": message.sequence + 1,
        "timestamp": rfc3339(now, digits="milliseconds"),
        "content": {"type": "response", "data": data},
    }
