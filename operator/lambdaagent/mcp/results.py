"""A task's outcome as the result of a tool: text, data and files of its artifacts, or of its last message.

A task that failed is a result with `isError`, not an error of the protocol: so the host's model reads the reason.
"""

from collections.abc import Iterator

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.mcp import content

_FAILED = (TaskState.FAILED, TaskState.REJECTED, TaskState.CANCELED)


def of_task(task: Json, *, any_data: bool = False) -> Json:
    """Return the result. `any_data`: structuredContent may be other JSON than an object, as since 2026-07-28."""
    state = state_of(task)
    blocks = list(_content(task))
    if not blocks and not any(map(content.is_structured, _parts(task))):
        blocks = [{"type": "text", "text": _without_words(state)}]
    meta = {**_meta(task), "taskId": task["id"], "contextId": task["contextId"]}
    found: Json = {"content": blocks, "_meta": meta}
    if state in _FAILED:
        found["isError"] = True
    part = _structured(task, alone=state not in _FAILED)
    if "data" in part and (any_data or isinstance(part["data"], dict)):
        found["structuredContent"] = part["data"]
    return found


def of_question(task: Json) -> Json:
    """Return the result of a task that waits for words, for a host that cannot be asked: its model reads the question,
    and answers by a further call in the same conversation.
    """
    found = of_task(task)
    hint = (
        f"The agent waits for an answer. To give it, call the same tool with context_id {task['contextId']!r}, or"
        " a2a_message with that session_id."
    )
    return {**found, "content": [*found["content"], {"type": "text", "text": hint}]}


def failure(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def _without_words(state: TaskState) -> str:
    return "The agent has finished without a word." if state is TaskState.COMPLETED else f"The task is {state.v03}."


def _parts(task: Json) -> Iterator[Json]:
    for artifact in task.get("artifacts") or []:
        yield from content.joined(artifact)
    message = task["status"].get("message")
    if message is not None and (state_of(task) is not TaskState.COMPLETED or not task.get("artifacts")):
        yield from message.get("parts", [])


def _meta(task: Json) -> Json:
    """Return the `_meta` of the result that a server of MCP gave, if the task has one."""
    holders = [*(task.get("artifacts") or []), task["status"].get("message") or {}]
    return {key: value for holder in holders for key, value in content.meta_of(holder).items()}


def _content(task: Json) -> Iterator[Json]:
    for part in _parts(task):
        uri = f"lambdaagent://tasks/{task['id']}/{part.get('filename') or 'file'}"
        if not content.is_structured(part) and (block := content.block_of(part, uri=uri)) is not None:
            yield block


def _structured(task: Json, *, alone: bool) -> Json:
    """Return the part that a server of MCP called the result; else, with `alone`, the only part; else nothing."""
    parts = list(_parts(task))
    only = parts[0] if alone and len(parts) == 1 and not content.is_of_block(parts[0]) else {}
    return next(filter(content.is_structured, parts), only)
