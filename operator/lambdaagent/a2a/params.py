"""Requests in the 1.0 form: names are normalised and the protocol's requirements checked; everything else is unchanged.

ProtoJSON accepts camelCase and snake_case, so the known snake_case names are renamed at the places where
the protocol defines them; metadata and data are the user's and are not changed. All violations are reported at once.
"""

from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.a2a import Json, push
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.protojson import Found, boolean, identifier, integer, mapping, renamed, text, texts
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import TaskState, parse_role
from lambdaagent.a2a.versions import Version

_PARAMS = {"history_length": "historyLength", "task_id": "taskId", "context_id": "contextId"}
_CONFIGURATION = {
    "accepted_output_modes": "acceptedOutputModes",
    "history_length": "historyLength",
    "return_immediately": "returnImmediately",
    "task_push_notification_config": "taskPushNotificationConfig",
}
_MESSAGE = {
    "message_id": "messageId",
    "context_id": "contextId",
    "task_id": "taskId",
    "reference_task_ids": "referenceTaskIds",
}
_PART = {"media_type": "mediaType"}
CONTENT = ("text", "raw", "url", "data")
PARTS = 1_000
"""Maximum number of parts of a client's message, unless a setting changes it."""
MOST_PARTS = 5_000
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Send:
    message: Json
    return_immediately: bool = False
    history_length: int | None = None
    accepted_output_modes: tuple[str, ...] = ()
    push: PushConfig | None = None
    wire: Version = Version.V1  # the version of the client, and so of its push receiver
    metadata: Json = field(default_factory=dict)
    extensions: tuple[str, ...] = ()  # URIs that the client requests
    streamed: bool = False  # the client follows the task instead of waiting for its end
    as_task: bool = False  # the client follows a task from its beginning, and takes no direct Message

    @property
    def blocking(self) -> bool:
        return not self.streamed and not self.return_immediately


@dataclass(frozen=True, slots=True)
class Get:
    id: str
    history_length: int | None = None


@dataclass(frozen=True, slots=True)
class Find:
    """Which of an agent's tasks to list; `page_token` is from an earlier page."""

    context_id: str | None = None
    state: TaskState | None = None
    updated_from: float | None = None  # seconds since the epoch
    page_size: int = PAGE_SIZE
    page_token: str = ""
    history_length: int | None = None
    include_artifacts: bool = False


def send(params: Json, *, wire: Version = Version.V1, extensions: tuple[str, ...] = (), streamed: bool = False) -> Send:
    """Return the request. Raises A2AError with every violation."""
    found: Found = []
    message = check_message(params.get("message"), found, at="message")
    metadata = mapping(params.get("metadata"), found, at="metadata")
    given = params.get("configuration")
    if given is None and message is not None and not found:
        return Send(message, wire=wire, metadata=metadata, extensions=extensions, streamed=streamed)
    configuration = renamed(mapping(given, found, at="configuration"), _CONFIGURATION)
    config = configuration.get("taskPushNotificationConfig")
    at = "configuration.taskPushNotificationConfig"
    request = Send(
        message or {},
        return_immediately=boolean(configuration.get("returnImmediately"), found, at="configuration.returnImmediately"),
        history_length=integer(configuration.get("historyLength"), found, at="configuration.historyLength"),
        accepted_output_modes=texts(
            configuration.get("acceptedOutputModes"), found, at="configuration.acceptedOutputModes"
        ),
        # In ProtoJSON an empty object is unset.
        push=push.read(config, found, at=at, of_task=False) if config not in (None, {}) else None,
        wire=wire,
        metadata=metadata,
        extensions=extensions,
        streamed=streamed,
    )
    if found:
        raise invalid(*found)
    return request


def get(params: Json) -> Get:
    found: Found = []
    named = renamed(params, _PARAMS)
    task_id = identifier(named.get("id"), found, at="id")
    length = integer(named.get("historyLength"), found, at="historyLength")
    if found:
        raise invalid(*found)
    return Get(task_id, history_length=length)


def task_id(params: Json) -> str:
    """Return the task's id in a request about one task: cancel, subscribe."""
    found: Found = []
    named = identifier(params.get("id"), found, at="id")
    if found:
        raise invalid(*found)
    return named


def require_few_parts(params: Json, *, most: int) -> None:
    """Raise A2AError for too many parts, in any dialect, before anything is done for each of them."""
    message = params.get("message") or params.get("request")
    for name in ("parts", "content"):
        parts = message.get(name) if isinstance(message, dict) else None
        if isinstance(parts, list) and len(parts) > most:
            raise invalid(Violation(f"message.{name}", f"contains {len(parts)} parts; the maximum is {most}"))


def check_message(value: Any, found: Found, *, at: str, empty: bool = False) -> Json | None:
    """Return the message in the 1.0 form, or None and violations in `found`; for `empty` see `check_parts`."""
    if not isinstance(value, dict):
        found.append(Violation(at, "is required and must be an object"))
        return None
    before = len(found)
    message = renamed(value, _MESSAGE)
    identifier(message.get("messageId"), found, at=f"{at}.messageId")
    role = parse_role(message.get("role"))
    if role is None:
        found.append(Violation(f"{at}.role", "must be ROLE_USER or ROLE_AGENT"))
    for name in ("contextId", "taskId"):
        if name in message and not identifier(message[name], found, at=f"{at}.{name}", required=False):
            del message[name]
    for name in ("extensions", "referenceTaskIds"):
        if name in message:
            texts(message[name], found, at=f"{at}.{name}")
    mapping(message.get("metadata"), found, at=f"{at}.metadata")
    message["parts"] = check_parts(message.get("parts"), found, at=f"{at}.parts", empty=empty)
    if len(found) > before or role is None:
        return None
    message["role"] = str(role)
    return message


def check_parts(value: Any, found: Found, *, at: str, empty: bool = False) -> list[Json]:
    """Return the parts in the 1.0 form. `empty`: there may be none, and ProtoJSON omits an empty list."""
    if empty and (value is None or value == []):
        return []
    if not isinstance(value, list) or not value:
        found.append(Violation(at, "is required and must contain at least one part"))
        return []
    if len(value) > MOST_PARTS:
        found.append(Violation(at, f"contains {len(value)} parts; the maximum is {MOST_PARTS}"))
        return []
    return [part for index, each in enumerate(value) if (part := _part(each, found, at=f"{at}[{index}]")) is not None]


def _part(value: Any, found: Found, *, at: str) -> Json | None:
    if not isinstance(value, dict):
        found.append(Violation(at, "must be an object"))
        return None
    part = renamed(value, _PART)
    content = [name for name in CONTENT if name in part]
    if not content and "data" in value:
        # The only field in which null is a value (google.protobuf.Value).
        part["data"], content = None, ["data"]
    if len(content) != 1:
        found.append(Violation(at, f"must contain exactly one of {', '.join(CONTENT)}"))
        return None
    name = content[0]
    if name != "data" and not isinstance(part[name], str):
        found.append(Violation(f"{at}.{name}", "must be a string"))
        return None
    if name == "raw" and not _is_base64(part["raw"]):
        found.append(Violation(f"{at}.raw", "must be base64"))
        return None
    for label in ("mediaType", "filename"):
        text(part.get(label), found, at=f"{at}.{label}")
    mapping(part.get("metadata"), found, at=f"{at}.metadata")
    return part


def raw_bytes(value: str) -> bytes:
    """Return the bytes of a part's `raw`. Raises ValueError.

    ProtoJSON accepts the URL-safe alphabet and missing padding too.
    """
    return b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)


def _is_base64(value: str) -> bool:
    try:
        raw_bytes(value)
    except ValueError:
        return False
    return True
