"""Requests in the 1.0 form: names normalised, what the protocol requires checked, everything else left alone.

ProtoJSON takes camelCase and snake_case (facts 2.2), so the known snake_case names are renamed at the places where
the protocol defines them; metadata and data are the user's and are not looked into. All violations are reported at
once.
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid
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
_ID_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Send:
    message: Json
    return_immediately: bool = False
    history_length: int | None = None
    accepted_output_modes: tuple[str, ...] = ()
    push: PushConfig | None = None
    wire: Version = Version.V1  # what the client speaks


@dataclass(frozen=True, slots=True)
class Get:
    id: str
    history_length: int | None = None


@dataclass(frozen=True, slots=True)
class Find:
    """Which of an agent's tasks to list; `page_token` is what an earlier page gave."""

    context_id: str | None = None
    state: TaskState | None = None
    updated_from: float | None = None  # seconds since the epoch
    page_size: int = 50
    page_token: str = ""
    history_length: int | None = None
    include_artifacts: bool = False


def send(params: Json) -> Send:
    """Raises A2AError with every violation."""
    found: list[Violation] = []
    message = check_message(params.get("message"), found, at="message")
    configuration = params.get("configuration")
    if configuration is None:
        configuration = {}
    elif not isinstance(configuration, dict):
        found.append(Violation("configuration", "must be an object"))
        configuration = {}
    configuration = _renamed(configuration, _CONFIGURATION)
    immediately = configuration.get("returnImmediately", False)
    if not isinstance(immediately, bool):
        found.append(Violation("configuration.returnImmediately", "must be true or false"))
    modes = configuration.get("acceptedOutputModes") or ()
    if not isinstance(modes, (list, tuple)) or not all(isinstance(mode, str) for mode in modes):
        found.append(Violation("configuration.acceptedOutputModes", "must be a list of media types"))
    length = _length(configuration.get("historyLength"), found, at="configuration.historyLength")
    if found or message is None:
        raise invalid(*found)
    if configuration.get("taskPushNotificationConfig"):
        raise A2AError(Problem.PUSH_NOT_SUPPORTED)
    return Send(message, return_immediately=immediately, history_length=length, accepted_output_modes=tuple(modes))


def get(params: Json) -> Get:
    found: list[Violation] = []
    renamed = _renamed(params, _PARAMS)
    task_id = renamed.get("id")
    if not isinstance(task_id, str) or not task_id:
        found.append(Violation("id", "is required and must be a string"))
    length = _length(renamed.get("historyLength"), found, at="historyLength")
    if found or not isinstance(task_id, str):
        raise invalid(*found)
    return Get(task_id, history_length=length)


def check_message(value: Any, found: list[Violation], *, at: str) -> Json | None:
    """The message in the 1.0 form, or None with what is wrong appended to `found`."""
    if not isinstance(value, dict):
        found.append(Violation(at, "is required and must be an object"))
        return None
    before = len(found)
    message = _renamed(value, _MESSAGE)
    if not isinstance(message.get("messageId"), str) or not 0 < len(message["messageId"]) <= _ID_LIMIT:
        found.append(Violation(f"{at}.messageId", "is required and must be a string"))
    role = parse_role(message.get("role"))
    if role is None:
        found.append(Violation(f"{at}.role", "must be ROLE_USER or ROLE_AGENT"))
    for name in ("contextId", "taskId"):
        each = message.get(name)
        # An empty string is ProtoJSON's "unset".
        if each in (None, ""):
            message.pop(name, None)
        elif not isinstance(each, str) or len(each) > _ID_LIMIT:
            found.append(Violation(f"{at}.{name}", f"must be a string of at most {_ID_LIMIT} characters"))
    if not isinstance(message.get("metadata", {}), dict):
        found.append(Violation(f"{at}.metadata", "must be an object"))
    message["parts"] = check_parts(message.get("parts"), found, at=f"{at}.parts")
    if len(found) > before or role is None:
        return None
    message["role"] = str(role)
    return message


def check_parts(value: Any, found: list[Violation], *, at: str) -> list[Json]:
    if not isinstance(value, list) or not value:
        found.append(Violation(at, "is required and must hold at least one part"))
        return []
    return [part for index, each in enumerate(value) if (part := _part(each, found, at=f"{at}[{index}]")) is not None]


def _part(value: Any, found: list[Violation], *, at: str) -> Json | None:
    if not isinstance(value, dict):
        found.append(Violation(at, "must be an object"))
        return None
    part = _renamed(value, _PART)
    content = [name for name in CONTENT if name in part]
    if len(content) != 1:
        found.append(Violation(at, f"must hold exactly one of {', '.join(CONTENT)}"))
        return None
    name = content[0]
    if name != "data" and not isinstance(part[name], str):
        found.append(Violation(f"{at}.{name}", "must be a string"))
        return None
    if name == "raw" and not _is_base64(part["raw"]):
        found.append(Violation(f"{at}.raw", "must be base64"))
        return None
    return part


def _is_base64(text: str) -> bool:
    # ProtoJSON takes the URL-safe alphabet and missing padding too.
    try:
        b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return False
    return True


def _length(value: Any, found: list[Violation], *, at: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)  # ProtoJSON writes integers as strings where it pleases.
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        found.append(Violation(at, "must be a whole number that is not negative"))
        return None
    return value


def _renamed(value: Json, names: dict[str, str]) -> Json:
    """A copy; a camelCase name that is there too wins."""
    return {names[key] if key in names and names[key] not in value else key: each for key, each in value.items()}
