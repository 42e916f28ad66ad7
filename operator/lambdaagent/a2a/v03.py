"""0.3's JSON-RPC dialect to the 1.0 form and back: `kind` discriminators, other enum spellings, nested files.

Follows the mapping that the public SDK's compatibility layer defined. What 0.3 cannot express is carried in
a form that it can: data that is not an object is wrapped in one, a text with a file name becomes a file.
"""

from base64 import b64encode
from typing import Any

from lambdaagent.a2a import Json, push
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import Role, TaskState, parse_role, parse_state

_WRAPPED = "value"


def upgrade_send(params: Json) -> Json:
    """Return message/send's parameters as SendMessage's.

    What is not an object is unchanged, and `params` reports it.
    """
    upgraded = dict(params)
    message = params.get("message")
    if isinstance(message, dict):
        upgraded["message"] = upgrade_message(message, at="message")
    configuration = params.get("configuration")
    if isinstance(configuration, dict):
        converted = {k: v for k, v in configuration.items() if k not in ("blocking", "pushNotificationConfig")}
        if "blocking" in configuration:
            blocking = configuration["blocking"]
            converted["returnImmediately"] = not blocking if isinstance(blocking, bool) else blocking
        if configuration.get("pushNotificationConfig"):
            converted["taskPushNotificationConfig"] = upgrade_push_config(configuration["pushNotificationConfig"])
        upgraded["configuration"] = converted
    return upgraded


def upgrade_message(message: Json, *, at: str) -> Json:
    upgraded = {key: value for key, value in message.items() if key != "kind"}
    role = parse_role(message.get("role"))
    if role is not None:
        upgraded["role"] = str(role)
    parts = message.get("parts")
    if isinstance(parts, list):
        upgraded["parts"] = [upgrade_part(part, at=f"{at}.parts[{index}]") for index, part in enumerate(parts)]
    return upgraded


def upgrade_part(part: Any, *, at: str) -> Any:
    if not isinstance(part, dict):
        return part
    common = {key: value for key, value in part.items() if key not in ("kind", "file", "text", "data")}
    match part.get("kind"):
        case "text":
            return {**common, "text": part.get("text")}
        case "data":
            return {**common, "data": part.get("data")}
        case "file" if isinstance(file := part.get("file"), dict) and _is_one(file.get("bytes"), file.get("uri")):
            if file.get("bytes") is not None:
                common["raw"] = file["bytes"]
            else:
                common["url"] = file["uri"]
            return common | file_labels(file)
    kind = str(part.get("kind"))[:40]
    raise invalid(Violation(at, f'must have the kind "text", "data", or "file" with either bytes or uri, not {kind!r}'))


def _is_one(first: Any, second: Any) -> bool:
    """Whether exactly one is given; null counts as absent."""
    return (first is None) != (second is None)


def file_labels(file: Json) -> Json:
    """Return a file's type and name, which 0.3 keeps within the file."""
    named = (("mediaType", file.get("mimeType")), ("filename", file.get("name")))
    return {name: value for name, value in named if value}


def upgrade_push(params: Json) -> Json:
    """Read the parameters of tasks/pushNotificationConfig/set: the configuration is beside its task's id."""
    config = upgrade_push_config(params.get("pushNotificationConfig") or {})
    return {**config, "taskId": params.get("taskId")} if isinstance(config, dict) else {"taskId": params.get("taskId")}


def upgrade_push_config(config: Any) -> Any:
    """Read a configuration. 0.3 names several schemes and one credential, which belongs to the first scheme."""
    authentication = config.get("authentication") if isinstance(config, dict) else None
    if not isinstance(authentication, dict):
        return dict(config) if isinstance(config, dict) else config
    upgraded = {key: value for key, value in authentication.items() if key != "schemes"}
    schemes = authentication.get("schemes")
    if schemes:
        upgraded["scheme"] = schemes[0] if isinstance(schemes, list) else schemes
    return {**config, "authentication": upgraded}


def upgrade_push_reference(params: Json) -> Json:
    """Read the parameters of get, list and delete, where `id` is the task's."""
    return {"taskId": params.get("id"), "id": params.get("pushNotificationConfigId")}


def downgrade_send(message: Json, *, configuration: Json, metadata: Json) -> Json:
    """Return the parameters of message/send and message/stream for an agent of 0.3."""
    params: Json = {"message": downgrade_message(message), "configuration": configuration}
    return {**params, "metadata": metadata} if metadata else params


def downgrade_push(config: PushConfig) -> Json:
    return {"taskId": config.task_id, "pushNotificationConfig": downgrade_push_config(push.shown(config))}


def downgrade_push_config(config: Json) -> Json:
    """Write a configuration of the 1.0 form, without the task's id, which its surroundings hold."""
    old = {key: value for key, value in config.items() if key != "taskId"}
    if "authentication" in config:
        authentication = {key: value for key, value in config["authentication"].items() if key != "scheme"}
        old["authentication"] = {"schemes": [config["authentication"]["scheme"]], **authentication}
    return old


def downgrade_event(event: Json, *, until_input: bool = True) -> Json:
    """Return a StreamResponse as 0.3's bare event."""
    if "statusUpdate" in event:
        update = event["statusUpdate"]
        final = is_final(update, until_input=until_input)
        return {**update, "kind": "status-update", "status": downgrade_status(update["status"]), "final": final}
    if "artifactUpdate" in event:
        update = event["artifactUpdate"]
        return {**update, "kind": "artifact-update", "artifact": downgrade_artifact(update["artifact"])}
    if "message" in event:
        return downgrade_message(event["message"])
    return downgrade_task(event["task"])


def is_final(update: Json, *, until_input: bool) -> bool:
    """Whether no event follows (0.3 section 7.2.2); `until_input`: or none before the client's next message."""
    state = parse_state(update["status"].get("state")) or TaskState.UNSPECIFIED
    return state.settled if until_input else state.terminal


def downgrade_artifact(artifact: Json) -> Json:
    return {**artifact, "parts": [downgrade_part(part) for part in artifact["parts"]]}


def downgrade_task(task: Json) -> Json:
    old: Json = {**task, "kind": "task", "status": downgrade_status(task["status"])}
    if "history" in task:
        old["history"] = [downgrade_message(message) for message in task["history"]]
    if "artifacts" in task:
        old["artifacts"] = [downgrade_artifact(artifact) for artifact in task["artifacts"]]
    return old


def downgrade_status(status: Json) -> Json:
    state = parse_state(status.get("state")) or TaskState.UNSPECIFIED
    old: Json = {**status, "state": state.v03}
    if "message" in status:
        old["message"] = downgrade_message(status["message"])
    return old


def downgrade_message(message: Json) -> Json:
    return {
        **message,
        "kind": "message",
        "role": "agent" if message.get("role") == Role.AGENT else "user",
        "parts": [downgrade_part(part) for part in message["parts"]],
    }


def downgrade_part(part: Json) -> Json:
    old: Json = {
        key: value for key, value in part.items() if key not in ("text", "raw", "url", "data", "mediaType", "filename")
    }
    if "text" in part and not part.get("filename"):
        return {**old, "kind": "text", "text": part["text"]}
    if "data" in part:
        data = part["data"]
        if part.get("filename"):
            old["metadata"] = {"filename": part["filename"], **(part.get("metadata") or {})}
        return {**old, "kind": "data", "data": data if isinstance(data, dict) else {_WRAPPED: data}}
    file: Json = {"bytes": _bytes(part)} if "raw" in part or "text" in part else {"uri": part.get("url", "")}
    if part.get("mediaType"):
        file["mimeType"] = part["mediaType"]
    if part.get("filename"):
        file["name"] = part["filename"]
    return {**old, "kind": "file", "file": file}


def _bytes(part: Json) -> str:
    raw: str = part["raw"] if "raw" in part else b64encode(part["text"].encode()).decode()
    return raw
