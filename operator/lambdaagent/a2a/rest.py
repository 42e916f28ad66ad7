"""HTTP+JSON as A2A uses it: paths, media types and the form of errors, in both versions (1.0 section 11).

Paths are relative to an interface's URL: 1.0's directly, with an optional tenant in front, 0.3's below `/v1`. The path
decides the version, as the method's name does in JSON-RPC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.versions import Version

_V03 = "v1"
_BOTH = ("POST", "GET")  # 1.0's text has POST, its proto has GET; so has 0.3


TEMPLATES: Mapping[Version, Mapping[str, Mapping[str, Operation]]] = {
    version: {
        f"{prefix}/message:send": {"POST": Operation.SEND},
        f"{prefix}/message:stream": {"POST": Operation.STREAM},
        f"{prefix}/tasks": {"GET": Operation.LIST},
        f"{prefix}/tasks/{{id}}": {"GET": Operation.GET},
        f"{prefix}/tasks/{{id}}:cancel": {"POST": Operation.CANCEL},
        f"{prefix}/tasks/{{id}}:subscribe": dict.fromkeys(_BOTH, Operation.SUBSCRIBE),
        f"{prefix}/tasks/{{id}}/pushNotificationConfigs": {"POST": Operation.PUSH_PUT, "GET": Operation.PUSH_LIST},
        f"{prefix}/tasks/{{id}}/pushNotificationConfigs/{{pushId}}": {
            "GET": Operation.PUSH_GET,
            "DELETE": Operation.PUSH_DROP,
        },
        f"{prefix}/{card}": {"GET": Operation.EXTENDED_CARD},
    }
    for version, prefix, card in ((Version.V1, "", "extendedAgentCard"), (Version.V03, f"/{_V03}", "card"))
}
"""What `match` finds, for documents."""


@dataclass(frozen=True, slots=True)
class RestRoute:
    version: Version
    operations: Mapping[str, Operation]  # by HTTP method
    ids: Mapping[str, str]  # from the path, named like 1.0's parameters


def match(path: str) -> RestRoute:
    """Return the route of a path, which is relative to the interface's and begins with a slash.

    Raises A2AError if nothing is served there.
    """
    segments = path.strip("/").split("/")
    old = segments[0] == _V03
    if old:
        del segments[0]
    version = Version.V03 if old else Version.V1
    found = _match(segments, version)
    if found is None and not old and len(segments) > 1:
        found = _match(segments[1:], version)  # the first segment is a tenant
    if found is None:
        raise A2AError(
            Problem.METHOD_NOT_FOUND,
            f"Nothing is served at {path[:128]!r}. The paths are message:send, message:stream, tasks and"
            f" extendedAgentCard; for A2A 0.3 they begin with /{_V03}.",
        )
    return found


def _match(segments: list[str], version: Version) -> RestRoute | None:
    match segments:
        case ["message:send"]:
            return RestRoute(version, {"POST": Operation.SEND}, {})
        case ["message:stream"]:
            return RestRoute(version, {"POST": Operation.STREAM}, {})
        case ["tasks"]:
            return RestRoute(version, {"GET": Operation.LIST}, {})
        case ["tasks", name] if name:
            return _task(name, version)
        case ["tasks", task_id, "pushNotificationConfigs"] if task_id:
            operations = {"POST": Operation.PUSH_PUT, "GET": Operation.PUSH_LIST}
            return RestRoute(version, operations, {"taskId": task_id})
        case ["tasks", task_id, "pushNotificationConfigs", push_id] if task_id and push_id:
            operations = {"GET": Operation.PUSH_GET, "DELETE": Operation.PUSH_DROP}
            return RestRoute(version, operations, {"taskId": task_id, "id": push_id})
        case ["extendedAgentCard"] if version is Version.V1:
            return RestRoute(version, {"GET": Operation.EXTENDED_CARD}, {})
        case ["card"] if version is Version.V03:
            return RestRoute(version, {"GET": Operation.EXTENDED_CARD}, {})
    return None


def _task(name: str, version: Version) -> RestRoute | None:
    task_id, _, verb = name.rpartition(":")
    if task_id and verb == "cancel":
        return RestRoute(version, {"POST": Operation.CANCEL}, {"id": task_id})
    if task_id and verb == "subscribe":
        return RestRoute(version, dict.fromkeys(_BOTH, Operation.SUBSCRIBE), {"id": task_id})
    return RestRoute(version, {"GET": Operation.GET}, {"id": name})


def media_type(*, accept: str, sent: str) -> str:
    """Return 1.0.1's own type for a client that uses it: 1.0.0's clients look for application/json."""
    return media_types.A2A_JSON if media_types.A2A_JSON in accept or sent == media_types.A2A_JSON else media_types.JSON


def error(problem: A2AError, *, http: int, version: Version, status: str = "") -> Json:
    """Return a google.rpc.Status in an envelope (1.0 section 11.6).

    For 0.3's SDKs the error's class and text are beside it.
    """
    kind = problem.problem.value
    body: dict[str, Any] = {
        "code": http,
        "status": status or kind.status,
        "message": str(problem),
        "details": problem.details(),
    }
    if version is Version.V1:
        return {"error": body}
    return {"error": body, "type": kind.name, "code": kind.code, "message": str(problem)}
