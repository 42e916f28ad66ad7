"""HTTP+JSON as A2A uses it: paths, media types and the form of errors, in both versions (1.0 section 11).

Paths are relative to an interface's URL: 1.0's directly, with an optional tenant in front, 0.3's below `/v1`. The path
decides the version, as the method's name does in JSON-RPC.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.versions import Version

PREFIXES: Mapping[Version, str] = {Version.V1: "", Version.V03: "v1/"}
_BOTH = ("POST", "GET")  # 1.0's text has POST, its proto has GET; so has 0.3
_COMMON: Mapping[str, Mapping[str, Operation]] = {
    "message:send": {"POST": Operation.SEND},
    "message:stream": {"POST": Operation.STREAM},
    "tasks": {"GET": Operation.LIST},
    # Before the plain id, which may hold a colon too.
    "tasks/{id}:cancel": {"POST": Operation.CANCEL},
    "tasks/{id}:subscribe": dict.fromkeys(_BOTH, Operation.SUBSCRIBE),
    "tasks/{id}": {"GET": Operation.GET},
    "tasks/{taskId}/pushNotificationConfigs": {"POST": Operation.PUSH_PUT, "GET": Operation.PUSH_LIST},
    "tasks/{taskId}/pushNotificationConfigs/{id}": {"GET": Operation.PUSH_GET, "DELETE": Operation.PUSH_DROP},
}
TEMPLATES: Mapping[Version, Mapping[str, Mapping[str, Operation]]] = {
    Version.V1: {**_COMMON, "extendedAgentCard": {"GET": Operation.EXTENDED_CARD}},
    Version.V03: {**_COMMON, "card": {"GET": Operation.EXTENDED_CARD}},
}
"""The operations by HTTP method, by template below the version's prefix; ids are named like 1.0's parameters."""
_PATTERNS = {
    version: [(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), found) for path, found in templates.items()]
    for version, templates in TEMPLATES.items()
}


@dataclass(frozen=True, slots=True)
class RestRoute:
    version: Version
    operations: Mapping[str, Operation]  # by HTTP method
    ids: Mapping[str, str]  # from the path, named like 1.0's parameters


def match(path: str) -> RestRoute:
    """Return the route of a path, which is relative to the interface's and begins with a slash.

    Raises A2AError if nothing is served there.
    """
    below = path.strip("/")
    old = below.startswith(PREFIXES[Version.V03])
    found = _match(below.removeprefix(PREFIXES[Version.V03]), Version.V03 if old else Version.V1)
    if found is None and not old:
        found = _match(below.partition("/")[2], Version.V1)  # the first segment is a tenant
    if found is None:
        raise A2AError(
            Problem.METHOD_NOT_FOUND,
            f"Nothing is served at {path[:128]!r}. The paths are message:send, message:stream, tasks and"
            " extendedAgentCard; for A2A 0.3 they begin with /v1.",
        )
    return found


def _match(path: str, version: Version) -> RestRoute | None:
    for pattern, operations in _PATTERNS[version]:
        if (found := pattern.fullmatch(path)) is not None:
            return RestRoute(version, operations, found.groupdict())
    return None


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
