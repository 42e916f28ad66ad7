"""0.3's HTTP+JSON dialect to the 1.0 form and back: ProtoJSON of the old proto, a third notation of the same content.

A message's parts are its `content`, files have `fileWithUri` or `fileWithBytes`, data is nested twice, states have
1.0's names except CANCELLED, a push configuration has a resource name. Some clients of 0.3 send the
JSON-RPC form over HTTP; it is recognised by its `parts` and read as such.
"""

from typing import Any

from lambdaagent.a2a import Json, push, v03
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.protojson import renamed
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import Role, TaskState, parse_state

_SEND = {"request": "message"}
_CONFIGURATION = {
    "accepted_output_modes": "acceptedOutputModes",
    "history_length": "historyLength",
    "push_notification": "pushNotification",
    # The field's name in the JSON-RPC dialect; clients use both.
    "pushNotificationConfig": "pushNotification",
    "push_notification_config": "pushNotification",
}
_FILE = {"file_with_uri": "fileWithUri", "file_with_bytes": "fileWithBytes", "mime_type": "mimeType"}
_CREATE = {"push_notification_config": "pushNotificationConfig", "config_id": "configId"}
_CANCELLED = "TASK_STATE_CANCELLED"


def upgrade_send(params: Json) -> Json:
    upgraded = renamed(params, _SEND)
    message = upgraded.get("message")
    if isinstance(message, dict) and "parts" in message:
        return v03.upgrade_send(upgraded)
    if isinstance(message, dict):
        parts = message.get("content")
        upgraded["message"] = {key: value for key, value in message.items() if key != "content"}
        if isinstance(parts, list):
            found = [upgrade_part(part, at=f"message.content[{index}]") for index, part in enumerate(parts)]
            upgraded["message"]["parts"] = found
    configuration = upgraded.get("configuration")
    if isinstance(configuration, dict):
        named = renamed(configuration, _CONFIGURATION)
        # As everywhere in ProtoJSON, an absent flag is false: so it is in 0.3's proto, unlike in its JSON-RPC.
        blocking = named.pop("blocking", False)
        config = named.pop("pushNotification", None)
        named["returnImmediately"] = not blocking if isinstance(blocking, bool) else blocking
        if config:
            named["taskPushNotificationConfig"] = v03.upgrade_push_config(config)
        upgraded["configuration"] = named
    return upgraded


def upgrade_part(part: Any, *, at: str) -> Any:
    if not isinstance(part, dict):
        return part
    common = {key: value for key, value in part.items() if key not in ("text", "file", "data") and value is not None}
    match [name for name in ("text", "file", "data") if part.get(name) is not None]:
        case ["text"]:
            return {**common, "text": part["text"]}
        case ["data"] if isinstance(part["data"], dict):
            return {**common, "data": part["data"].get("data")}
        case ["file"] if isinstance(part["file"], dict):
            file = renamed(part["file"], _FILE)
            content = [name for name in ("fileWithUri", "fileWithBytes") if name in file]
            if len(content) == 1:
                common["url" if content[0] == "fileWithUri" else "raw"] = file[content[0]]
                return common | v03.file_labels(file)
    raise invalid(Violation(at, "must contain exactly one of text, data.data, file.fileWithUri and file.fileWithBytes"))


def upgrade_push(params: Json) -> Json:
    """Read a configuration alone, or within the request that creates it, whose task is in the path."""
    request = renamed(params, _CREATE)
    outer = request.get("config")
    inner = renamed(outer, _CREATE) if isinstance(outer, dict) else request
    config = inner.get("pushNotificationConfig")
    upgraded = v03.upgrade_push_config(config) if isinstance(config, dict) else {}
    if request.get("configId") and not upgraded.get("id"):
        upgraded["id"] = request["configId"]
    return {**upgraded, "taskId": params.get("taskId")}


def downgrade_task(task: Json) -> Json:
    old: Json = {**task, "status": _status(task["status"])}
    if "history" in task:
        old["history"] = [downgrade_message(message) for message in task["history"]]
    if "artifacts" in task:
        old["artifacts"] = [_artifact(artifact) for artifact in task["artifacts"]]
    return old


def downgrade_event(event: Json, *, until_input: bool) -> Json:
    if "statusUpdate" in event:
        update = event["statusUpdate"]
        final = v03.is_final(update, until_input=until_input)
        return {"statusUpdate": {**update, "status": _status(update["status"]), "final": final}}
    if "artifactUpdate" in event:
        update = event["artifactUpdate"]
        return {"artifactUpdate": {**update, "artifact": _artifact(update["artifact"])}}
    if "message" in event:
        return {"message": downgrade_message(event["message"])}
    return {"task": downgrade_task(event["task"])}


def downgrade_message(message: Json) -> Json:
    old = {key: value for key, value in message.items() if key != "parts"}
    old["role"] = str(Role.AGENT if message.get("role") == Role.AGENT else Role.USER)
    old["content"] = [_part(part) for part in message["parts"]]
    return old


def downgrade_push(config: PushConfig) -> Json:
    name = f"tasks/{config.task_id}/pushNotificationConfigs/{config.id}"
    return {"name": name, "pushNotificationConfig": v03.downgrade_push_config(push.shown(config))}


def _artifact(artifact: Json) -> Json:
    return {**artifact, "parts": [_part(part) for part in artifact["parts"]]}


def _status(status: Json) -> Json:
    state = parse_state(status.get("state")) or TaskState.UNSPECIFIED
    old: Json = {**status, "state": _CANCELLED if state is TaskState.CANCELED else str(state)}
    if "message" in status:
        old["message"] = downgrade_message(status["message"])
    return old


def _part(part: Json) -> Json:
    old = v03.downgrade_part(part)
    kind = old.pop("kind")
    if kind == "data":
        return {**old, "data": {"data": old["data"]}}
    if kind == "file":
        file = dict(old["file"])
        for given, named in (("bytes", "fileWithBytes"), ("uri", "fileWithUri")):
            if given in file:
                file[named] = file.pop(given)
        return {**old, "file": file}
    return old
