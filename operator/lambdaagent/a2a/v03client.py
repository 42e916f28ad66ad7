"""0.3 in the client's role: what an agent that speaks only 0.3 is sent and answers, to and from the 1.0 form."""

from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.a2a.v03 import downgrade_message, upgrade_message


def send(message: Json, *, blocking: bool) -> Json:
    """Parameters of message/send and message/stream."""
    return {"message": downgrade_message(message), "configuration": {"blocking": blocking}}


def upgrade_event(value: Any) -> Json:
    """A result of 0.3 (told apart by `kind`) as a StreamResponse. Raises ValueError for what it is not."""
    if not isinstance(value, dict):
        raise ValueError("an A2A result is an object")
    match value.get("kind"):
        case "task":
            return {"task": upgrade_task(value)}
        case "message":
            return {"message": upgrade_message(value, at="message")}
        case "status-update":
            kept = {key: each for key, each in value.items() if key not in ("kind", "final")}
            return {"statusUpdate": {**kept, "status": _status(value.get("status"))}}
        case "artifact-update":
            kept = {key: each for key, each in value.items() if key != "kind"}
            return {"artifactUpdate": {**kept, "artifact": _artifact(value.get("artifact"))}}
    raise ValueError(f"an A2A 0.3 result has a kind, not {str(value.get('kind'))[:40]!r}")


def upgrade_task(value: Json) -> Json:
    task = {key: each for key, each in value.items() if key != "kind"}
    task["status"] = _status(value.get("status"))
    if isinstance(value.get("artifacts"), list):
        task["artifacts"] = [_artifact(each) for each in value["artifacts"]]
    if isinstance(value.get("history"), list):
        task["history"] = [upgrade_message(each, at="history") for each in value["history"] if isinstance(each, dict)]
    return task


def _status(value: Any) -> Json:
    if not isinstance(value, dict):
        raise ValueError("status must be an object")
    status = {**value, "state": str(parse_state(value.get("state")) or TaskState.UNSPECIFIED)}
    if isinstance(value.get("message"), dict):
        status["message"] = upgrade_message(value["message"], at="status.message")
    return status


def _artifact(value: Any) -> Json:
    if not isinstance(value, dict) or not isinstance(value.get("parts") or [], list):
        raise ValueError("artifact must be an object with parts")
    return {**value, "parts": upgrade_message({"parts": value.get("parts") or []}, at="artifact")["parts"]}
