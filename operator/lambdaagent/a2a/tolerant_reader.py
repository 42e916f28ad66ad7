"""Reads the answers of an A2A server in a container as 1.0 StreamResponses. Pure.

Servers of both versions mix the forms: 0.3's `kind` under 1.0, 1.0's wrapper under 0.3, parts without a kind, tasks
without either. So a value is read by its form, whatever the version. Ids, parts and states are checked later, when the
value becomes an update of a task.
"""

from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import CONTENT, MOST_PARTS
from lambdaagent.a2a.protojson import renamed
from lambdaagent.a2a.states import parse_state
from lambdaagent.a2a.tasks import MOST_ARTIFACTS
from lambdaagent.a2a.v03 import file_labels

_WRAPPERS = {
    "task": "task",
    "message": "message",
    "statusUpdate": "statusUpdate",
    "status_update": "statusUpdate",
    "artifactUpdate": "artifactUpdate",
    "artifact_update": "artifactUpdate",
}
_KINDS = {
    "task": "task",
    "message": "message",
    "status-update": "statusUpdate",
    "artifact-update": "artifactUpdate",
}
# Members of which an A2A object has at least one.
_MARKS = {
    "task": frozenset(("status",)),
    "message": frozenset(("messageId", "message_id", "role", "parts")),
    "statusUpdate": frozenset(("status",)),
    "artifactUpdate": frozenset(("artifact",)),
}
_UPDATE = {"task_id": "taskId", "context_id": "contextId", "last_chunk": "lastChunk"}
_ARTIFACT = {"artifact_id": "artifactId"}
_PART_KINDS = ("text", "file", "data")


def is_event(value: Any) -> bool:
    """Whether a stream's event is A2A's, and not the container's own JSON with a member of that name."""
    found = _wrapped(value) or _of_kind(value)
    return found is not None and not _MARKS[found[0]].isdisjoint(found[1])


def stream_response(value: Any) -> Json:
    """Return `{task}`, `{message}`, `{statusUpdate}` or `{artifactUpdate}`.

    Raises ValueError if the value is none of them.
    """
    if not isinstance(value, dict):
        raise ValueError("an A2A response must be an object with one of task, message, statusUpdate, artifactUpdate")
    found = _wrapped(value) or _of_kind(value) or _bare(value)
    if found is None:
        kind = f", not the kind {str(value['kind'])[:40]!r}" if "kind" in value else ""
        raise ValueError(f"an A2A response must contain one of task, message, statusUpdate, artifactUpdate{kind}")
    name, content = found
    return {name: _READERS[name](content)}


def task(value: Any) -> Json:
    """Return the task in the answer to GetTask or CancelTask. Raises ValueError if it is not a task."""
    event = stream_response(value)
    if "task" not in event:
        raise ValueError("the response is not a task")
    found: Json = event["task"]
    return found


def _wrapped(value: Any) -> tuple[str, Json] | None:
    if isinstance(value, dict) and "kind" not in value:
        for written, name in _WRAPPERS.items():
            if isinstance(value.get(written), dict):
                return name, value[written]
    return None


def _of_kind(value: Any) -> tuple[str, Json] | None:
    kind = value.get("kind") if isinstance(value, dict) else None
    name = _KINDS.get(kind) if isinstance(kind, str) else None
    return (name, value) if name is not None else None


def _bare(value: Json) -> tuple[str, Json] | None:
    """Recognise an object without wrapper and kind by its members."""
    if isinstance(value.get("artifact"), dict):
        return "artifactUpdate", value
    if isinstance(value.get("status"), dict):
        return ("statusUpdate" if "taskId" in value or "task_id" in value else "task"), value
    return ("message", value) if isinstance(value.get("parts"), list) else None


def _task(value: Json) -> Json:
    """Read a task. Only the newest message of its history is read, because no other one becomes an update."""
    found = {**renamed(_without_kind(value), _UPDATE), "status": _status(value.get("status"))}
    artifacts, history = value.get("artifacts"), value.get("history")
    if isinstance(artifacts, list):
        if len(artifacts) > MOST_ARTIFACTS:
            raise ValueError(f"task.artifacts contains {len(artifacts)} artifacts; the maximum is {MOST_ARTIFACTS}")
        found["artifacts"] = [_artifact(each) for each in artifacts if isinstance(each, dict)]
    if isinstance(history, list) and history and isinstance(history[-1], dict):
        found["history"] = [*history[:-1], _message(history[-1])]
    return found


def _status_update(value: Json) -> Json:
    found = renamed(_without_kind(value), _UPDATE)
    found.pop("final", None)
    return {**found, "status": _status(value.get("status"))}


def _artifact_update(value: Json) -> Json:
    artifact = value.get("artifact")
    if not isinstance(artifact, dict):
        raise ValueError("artifact must be an object with parts")
    return {**renamed(_without_kind(value), _UPDATE), "artifact": _artifact(artifact)}


def _message(value: Json) -> Json:
    return {**_without_kind(value), "parts": _parts(value.get("parts"), at="message.parts")}


def _artifact(value: Json) -> Json:
    return {**renamed(value, _ARTIFACT), "parts": _parts(value.get("parts"), at="artifact.parts")}


def _status(value: Any) -> Json:
    """Read a status; ProtoJSON omits an unspecified state and an empty status."""
    if value is not None and not isinstance(value, dict):
        raise ValueError("status must be an object")
    status = {key: each for key, each in (value or {}).items() if each is not None}
    state = parse_state(status.get("state", 0))
    if state is not None:
        status["state"] = str(state)
    if isinstance(status.get("message"), dict):
        status["message"] = _message(status["message"])
    return status


def _parts(value: Any, *, at: str) -> Any:
    """Read the parts.

    An absent list is empty; what is not a list, or is too long, is returned as it is and refused later.
    """
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > MOST_PARTS:
        return value
    return [_part(each, at=f"{at}[{index}]") for index, each in enumerate(value)]


def _part(value: Any, *, at: str) -> Any:
    if not isinstance(value, dict):
        return value
    kind, file = value.get("kind"), value.get("file")
    part = {key: each for key, each in value.items() if key not in ("kind", "file")}
    content = {name for name in CONTENT if part.get(name) is not None}
    if isinstance(file, dict) and not content:
        labels = file_labels(renamed(file, {"mime_type": "mimeType"}))
        for written, name in (("bytes", "raw"), ("uri", "url"), ("fileWithBytes", "raw"), ("fileWithUri", "url")):
            if file.get(written) is not None:
                return {**part, name: file[written]} | labels
    if kind is not None and not content and "data" not in part:
        known = ", ".join(_PART_KINDS)
        raise ValueError(f"{at} has the kind {str(kind)[:40]!r} and no content; known kinds are {known}")
    return part


def _without_kind(value: Json) -> Json:
    return {key: each for key, each in value.items() if key != "kind"}


_READERS = {
    "task": _task,
    "message": _message,
    "statusUpdate": _status_update,
    "artifactUpdate": _artifact_update,
}
