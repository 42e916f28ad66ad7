"""What a task that waits for its client asks the host, and the host's answers as the client's next message.

An agent that knows the protocol names its requests in the metadata of its message (`extension`). The words of any other
agent become one form with one field. Answers may arrive one at a time, at any replica: those that are there already are
in the task's metadata, under the round that they belong to. A round is one message of the agent.

Invariant: a request reaches the host only in a form that the protocol defines, whatever the agent has written.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role
from lambdaagent.a2a.tasks import state_of
from lambdaagent.mcp.capabilities import ASKED
from lambdaagent.mcp.extension import INPUT_REQUESTS, INPUT_RESPONSES
from lambdaagent.mcp.protocol import Code, McpError

PLAIN = "answer"
"""The name of the one request, and of its field, that stands for the words of an agent that does not know MCP."""
_MOST = 32  # requests of a round, and answers of a message
_NAME = 128  # characters
_QUESTION = 8_192  # characters
_REFUSED = ("decline", "cancel")


def waits(task: Json) -> bool:
    state = state_of(task)
    return state.settled and not state.terminal


def is_plain(task: Json) -> bool:
    """Return whether the agent asks in words alone."""
    return not _named(task)


def question(task: Json) -> str:
    parts = _message(task).get("parts", [])
    said = "\n".join(part["text"] for part in parts if "text" in part)
    return said[:_QUESTION] or "The agent asks for more input."


def requests(task: Json) -> dict[str, Json]:
    """Return the requests of this round by name, answered or not."""
    if named := _named(task):
        return named
    schema = {"type": "object", "properties": {PLAIN: {"type": "string", "title": "Answer"}}, "required": [PLAIN]}
    params = {"message": question(task), "requestedSchema": schema}
    return {PLAIN: {"method": "elicitation/create", "params": params}}


def given(task: Json) -> dict[str, Json]:
    """Return the answers of this round that are there already."""
    prefix = _prefix(task)
    metadata: Json = task.get("metadata") or {}
    return {key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)}


def pending(task: Json) -> dict[str, Json]:
    answered = given(task)
    return {name: request for name, request in requests(task).items() if name not in answered}


def noted(task: Json, answers: Mapping[str, Json]) -> Json:
    """Return the metadata of the task that keeps these answers."""
    prefix = _prefix(task)
    return {prefix + name: answer for name, answer in answers.items()}


def state(task: Json) -> str:
    """Return what a host gives back with its answers: the task and the round. It tells nothing else."""
    return f"{task['id']}.{_round(_message(task), task)}"


def task_of(state: str) -> str:
    """Return the id of the task that a host's state means. Raises McpError."""
    task_id, dot, round_ = state.rpartition(".") if len(state) <= _NAME else ("", "", "")
    if not (task_id and dot and round_):
        raise not_issued()
    return task_id


def is_former(task: Json, state: str) -> bool:
    """Return whether the state is that of a round of this task that is over: the host repeats its answer."""
    said = state.rpartition(".")[2]
    earlier = (each for each in task.get("history", []) if each.get("role") == Role.AGENT)
    return any(_round(message, task) == said for message in earlier)


def not_issued() -> McpError:
    return McpError(Code.INVALID_PARAMS, "params.requestState is not one that this gateway issued for this tool.")


def answers(value: Any) -> dict[str, Json]:
    """Return a host's answers by name. Raises McpError for what is no answer."""
    if not isinstance(value, dict) or len(value) > _MOST:
        raise McpError(Code.INVALID_PARAMS, f"params.inputResponses must be an object of at most {_MOST} answers.")
    for name, answer in value.items():
        if not isinstance(answer, dict):
            raise McpError(Code.INVALID_PARAMS, f"params.inputResponses.{name[:_NAME]} must be an object.")
    return value


def is_refused(answers: Mapping[str, Json]) -> bool:
    return any(answer.get("action") in _REFUSED for answer in answers.values())


def message(task: Json, answers: Mapping[str, Json], *, message_id: str) -> Json:
    """Return the client's next message, in the 1.0 form. Raises McpError for a form without its field."""
    found: Json = {
        "messageId": message_id,
        "role": str(Role.USER),
        "taskId": task["id"],
        "contextId": task["contextId"],
    }
    if not is_plain(task):
        said = "\n".join(f"{name}: {answer.get('action', 'answered')}" for name, answer in answers.items())
        return {**found, "parts": [{"text": said}], "metadata": {INPUT_RESPONSES: dict(answers)}}
    content = answers[PLAIN].get("content")
    text = content.get(PLAIN) if isinstance(content, dict) else None
    if not isinstance(text, str) or not text:
        raise McpError(Code.INVALID_PARAMS, f"The answer's content lacks the text {PLAIN!r}.")
    return {**found, "parts": [{"text": text}]}


def _message(task: Json) -> Json:
    return task["status"].get("message") or {}


def _named(task: Json) -> dict[str, Json]:
    asked = (_message(task).get("metadata") or {}).get(INPUT_REQUESTS)
    if not isinstance(asked, dict):
        return {}
    found = {}
    for name, request in list(asked.items())[:_MOST]:
        method = request.get("method") if isinstance(request, dict) else None
        params = request.get("params", {}) if isinstance(request, dict) else None
        if method in ASKED and isinstance(params, dict) and 0 < len(name) <= _NAME:
            found[name] = {"method": method, "params": params}
    return found


def _prefix(task: Json) -> str:
    return f"{INPUT_RESPONSES}/{_round(_message(task), task)}/"


def _round(message: Json, task: Json) -> str:
    said = message.get("messageId") or task["status"].get("timestamp") or ""
    return sha256(str(said).encode()).hexdigest()[:16]
