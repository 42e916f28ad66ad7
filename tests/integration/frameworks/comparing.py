"""The part of a result that must be equal at a server and at the gateway in front of it.

Ids are the gateway's own. It writes each version in that version's own form, where some servers mix them. A task that
goes on is told by its id; only what it says on the way counts. Some servers answer in a task's history alone: the last
word of the agent is then the answer, as the gateway reads it.
"""

import re
from typing import Any

Json = dict[str, Any]
SETTLED = ("completed", "failed", "canceled", "rejected", "input-required", "auth-required")
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|\be-<id>")
_UNSAID: tuple[Any, ...] = (None, "", [], {})


def events(result: Any) -> list[Json]:
    """Returns the events that a result of a send or a stream stands for."""
    kind, value = _kind(result)
    match kind:
        case "task":
            artifacts = [{"artifact": _artifact(each), "append": False} for each in value.get("artifacts") or []]
            return [*artifacts, *_status(value, of=value)]
        case "message":
            return [{"message": _message(value)}]
        case "artifact":
            return [{"artifact": _artifact(value["artifact"]), "append": value.get("append") is True}]
        case _:
            return _status(value)


def whole(result: Any) -> Json:
    """Returns what is compared of a result: its message, or the state, events and metadata of its task."""
    kind, value = _kind(result)
    if kind == "message":
        return {"message": _message(value)}
    said = events(result)
    return {"state": state(value), "events": said, "metadata": _plain(value.get("metadata") or {})}


def state(value: Json) -> str:
    return str(value["status"]["state"]).removeprefix("TASK_STATE_").lower().replace("_", "-")


def task_id(result: Any) -> str:
    kind, value = _kind(result)
    return "" if kind == "message" else str(value["id"] if kind == "task" else value["taskId"])


def texts(said: Json) -> list[str]:
    """Returns the texts of the artifacts, or else of the last message, as a direct call of a skill does."""
    found = [said] if "message" in said else said["events"]
    artifacts = [each["artifact"] for each in found if "artifact" in each]
    answers = artifacts or [found[-1].get("message") or {}]
    return ["".join(part.get("text", "") for part in each.get("parts", ())) for each in answers]


def _kind(result: Any) -> tuple[str, Json]:
    for name, kind in (
        ("task", "task"), ("message", "message"), ("statusUpdate", "status"), ("artifactUpdate", "artifact")
    ):  # fmt: skip
        if isinstance(result.get(name), dict):
            return kind, result[name]
    if "kind" not in result and "status" in result:
        return "task", result
    return {"status-update": "status", "artifact-update": "artifact"}.get(result["kind"], result["kind"]), result


def _status(value: Json, *, of: Json | None = None) -> list[Json]:
    now, message = state(value), value["status"].get("message")
    if message is None and of is not None and not of.get("artifacts") and now in SETTLED:
        said = [each for each in of.get("history") or [] if each.get("role") in ("agent", "ROLE_AGENT")]
        message = said[-1] if said else None
    if message is None and now not in SETTLED:
        return []
    event: Json = {"state": now}
    if message is not None:
        event["message"] = _message(message)
    if value.get("metadata"):
        event["metadata"] = _plain(value["metadata"])
    return [event]


def _artifact(value: Json) -> Json:
    kept = {key: _plain(each) for key, each in value.items() if key != "parts" and each not in _UNSAID}
    return {**kept, "parts": [_part(part) for part in value.get("parts") or []]}


def _message(value: Json) -> Json:
    metadata = {"metadata": _plain(value["metadata"])} if value.get("metadata") else {}
    return {"parts": [_part(part) for part in value.get("parts") or []], **metadata}


def _part(part: Json) -> Json:
    kept = {key: each for key, each in part.items() if key != "kind" and (key == "text" or each not in _UNSAID)}
    file = kept.pop("file", None)
    if file is not None:
        names = {"bytes": "raw", "uri": "url", "name": "filename", "mimeType": "mediaType"}
        kept |= {names[key]: each for key, each in file.items() if each not in _UNSAID}
    return _plain(kept)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _ID.sub("<id>", value) if isinstance(value, str) else value
