"""A task's outcome as the result of a tool: text, data and files of its artifacts, or of its last message.

A task that failed is a result with `isError`, not an error of the protocol: so the host's model reads the reason.
"""

from collections.abc import Iterator

import orjson

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import state_of

_FAILED = (TaskState.FAILED, TaskState.REJECTED, TaskState.CANCELED)


def of_task(task: Json, *, any_data: bool = False) -> Json:
    """Return the result. `any_data`: structuredContent may be other JSON than an object, as since 2026-07-28."""
    state = state_of(task)
    content = list(_content(task)) or [{"type": "text", "text": _without_words(state)}]
    found: Json = {"content": content, "_meta": {"taskId": task["id"], "contextId": task["contextId"]}}
    if state in _FAILED:
        found["isError"] = True
    elif len(parts := list(_parts(task))) == 1 and "data" in parts[0] and _fits(parts[0]["data"], any_data):
        found["structuredContent"] = parts[0]["data"]
    return found


def failure(text: str) -> Json:
    return {"content": [{"type": "text", "text": text}], "isError": True}


def of_message(message: Json) -> Json:
    """Return the result of an agent that answered without a task."""
    task: Json = {"id": message.get("messageId") or "", "status": {"state": TaskState.COMPLETED, "message": message}}
    found = of_task({**task, "contextId": message.get("contextId") or ""})
    return found | {"_meta": {"contextId": message["contextId"]} if message.get("contextId") else {}}


def _fits(data: object, any_data: bool) -> bool:
    return any_data or isinstance(data, dict)


def _without_words(state: TaskState) -> str:
    return "The agent has finished without a word." if state is TaskState.COMPLETED else f"The task is {state.v03}."


def _parts(task: Json) -> Iterator[Json]:
    for artifact in task.get("artifacts") or []:
        yield from artifact.get("parts", [])
    message = task["status"].get("message")
    if message is not None and (state_of(task) is not TaskState.COMPLETED or not task.get("artifacts")):
        yield from message.get("parts", [])


def _content(task: Json) -> Iterator[Json]:
    for part in _parts(task):
        media = str(part.get("mediaType") or "")
        if "text" in part:
            yield {"type": "text", "text": part["text"]}
        elif "data" in part:
            yield {"type": "text", "text": orjson.dumps(part["data"]).decode()}
        elif "raw" in part:
            kind = media.partition("/")[0]
            if kind in ("image", "audio"):
                yield {"type": kind, "data": part["raw"], "mimeType": media}
            else:
                uri = f"lambdaagent://tasks/{task['id']}/{part.get('filename') or 'file'}"
                resource = {"uri": uri, "mimeType": media or "application/octet-stream", "blob": part["raw"]}
                yield {"type": "resource", "resource": resource}
        elif "url" in part:
            linked = {"type": "resource_link", "uri": part["url"], "name": part.get("filename") or part["url"]}
            yield linked | ({"mimeType": media} if media else {})
