"""Push notification configurations: where a task's changes are posted, in 1.0's flat form (1.0 section 4.3.1)."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.protojson import Found, identifier, mapping, renamed, text

_NAMES = {"task_id": "taskId"}
_URL_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class PushConfig:
    """`task_id` is empty in a message that creates the task; `id` is empty if the client gave none."""

    url: str
    id: str = ""
    task_id: str = ""
    token: str = ""
    scheme: str = ""
    credentials: str = ""


def read(value: Any, found: Found, *, at: str = "", of_task: bool) -> PushConfig:
    """Return the configuration; `of_task`: it must name its task."""
    prefix = f"{at}." if at else ""
    config = renamed(mapping(value, found, at=at or "params"), _NAMES)
    authentication = mapping(config.get("authentication"), found, at=f"{prefix}authentication")
    return PushConfig(
        url=_url(config.get("url"), found, at=f"{prefix}url"),
        id=identifier(config.get("id"), found, at=f"{prefix}id", required=False),
        task_id=identifier(config.get("taskId"), found, at=f"{prefix}taskId", required=of_task),
        token=_line(config.get("token"), found, at=f"{prefix}token"),
        scheme=_line(authentication.get("scheme"), found, at=f"{prefix}authentication.scheme"),
        credentials=_line(authentication.get("credentials"), found, at=f"{prefix}authentication.credentials"),
    )


def create(params: Json) -> PushConfig:
    found: Found = []
    config = read(params, found, of_task=True)
    if found:
        raise invalid(*found)
    return config


def reference(params: Json, *, whole: bool = True) -> tuple[str, str]:
    """Return the ids of the task and the configuration.

    Without `whole`, the second may be missing (0.3: the only configuration).
    """
    found: Found = []
    named = renamed(params, _NAMES)
    task_id = identifier(named.get("taskId"), found, at="taskId")
    push_id = identifier(named.get("id"), found, at="id", required=whole)
    if found:
        raise invalid(*found)
    return task_id, push_id


def shown(config: PushConfig) -> Json:
    value: Json = {"id": config.id, "taskId": config.task_id, "url": config.url}
    if config.token:
        value["token"] = config.token
    if config.scheme or config.credentials:
        value["authentication"] = {"scheme": config.scheme, "credentials": config.credentials}
    return value


def _url(value: Any, found: Found, *, at: str) -> str:
    """Return a well-formed URL. Whether it may be called is decided elsewhere."""
    if isinstance(value, str) and 0 < len(value) <= _URL_LIMIT and value.isprintable() and " " not in value:
        try:
            parts = urlsplit(value)
            if parts.scheme.lower() in ("http", "https") and parts.hostname and (parts.port is None or parts.port):
                return value
        except ValueError:
            pass  # an invalid port or address
    found.append(Violation(at, "is required and must be an http or https URL"))
    return ""


def _line(value: Any, found: Found, *, at: str) -> str:
    """Return a text that can be a header's value in the delivery."""
    line = text(value, found, at=at)
    if line and not (line.isprintable() and line.isascii() and len(line) <= 16_384):
        found.append(Violation(at, "must be printable ASCII"))
        return ""
    return line
