"""The HTTP interface as an OpenAPI 3.1 document, made from the table of routes. Pure.

Paths of agents are those of an agent without settings: its `spec.a2a.endpoint` may name another, and a host of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version

from lambdaagent.a2a import Json, jsonrpc, rest, well_known
from lambdaagent.access.actions import OF_OPERATION, Action, Credential
from lambdaagent.api.a2a import A2a
from lambdaagent.gateway.a2a import extension_calls
from lambdaagent.gateway.routes.route_types import AgentRow, Route

_AGENT = "/agents/{namespace}/{agent}"
_PARAMETER = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")
_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457). `type` is `urn:lambdaagent:problem:` and a code for programs.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "requestId": {"type": "string"},
    },
}
_CREDENTIALS: Mapping[Credential, str] = {
    Credential.NONE: "No credential is asked for.",
    Credential.CALLER: "",
    Credential.SIGNATURE: "The body is signed with the secret of the URL.",
    Credential.CAPABILITY: "With event keys, the last segment of the URL must be a valid capability.",
}


def document(rows: Iterable[Route], agent_rows: Iterable[AgentRow]) -> Json:
    paths: dict[str, Json] = {}
    for path, method, operation in [*_own(rows), *_of_agents(agent_rows)]:
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "LambdaAgent gateway", "version": version("lambdaagent")},
        "paths": paths,
        "components": {"schemas": {"Problem": _PROBLEM}},
    }


def methods() -> list[tuple[str, str, Action]]:
    """Return the methods of the JSON-RPC binding with the version, or `extension`, and their actions."""
    a2a = [(name, str(edition), OF_OPERATION[operation]) for name, (edition, operation) in jsonrpc.METHODS.items()]
    return a2a + [(str(name), "extension", row.action) for name, row in extension_calls.METHODS.items()]


def _own(rows: Iterable[Route]) -> Iterator[tuple[str, str, Json]]:
    for row in rows:
        suffix = "-with-capability" if row.path.endswith("{capability}") else ""
        yield _operation(
            row.path,
            row.method,
            id_=row.name + suffix,
            summary=row.summary,
            action=row.action,
            credential=row.credential,
        )


def _of_agents(rows: Iterable[AgentRow]) -> Iterator[tuple[str, str, Json]]:
    base = A2a().base_path
    for row in rows:
        path = _AGENT + row.path.replace("{basePath}", base).replace("{skillsPath}", f"{base}/skills/")
        if row.action is not None:
            for method in row.methods:
                form = "-legacy" if row.path == well_known.LEGACY_AGENT_CARD else ""
                id_ = f"{row.name}{form}-of-agent-{method.lower()}"
                yield _operation(path, method, id_=id_, summary=row.summary, action=row.action)
        elif row.path == "{basePath}":
            yield _rpc(path, row)
        else:
            yield from _rest(_AGENT + base, row)


def _rpc(path: str, row: AgentRow) -> tuple[str, str, Json]:
    (only,) = row.methods
    _, method, operation = _operation(path, only, id_=row.name, summary=row.summary)
    actions = {name: {"version": edition, "action": action} for name, edition, action in methods()}
    return path, method, operation | {"x-lambdaagent-methods": actions}


def _rest(base: str, row: AgentRow) -> Iterator[tuple[str, str, Json]]:
    for edition, templates in rest.TEMPLATES.items():
        for template, operations in templates.items():
            for method, operation in operations.items():
                yield _operation(
                    f"{base}/{rest.PREFIXES[edition]}{template}",
                    method,
                    id_=f"{row.name}-{edition}-{operation}-{method.lower()}",
                    summary=f"{row.summary}, {edition}: {operation}",
                    action=OF_OPERATION[operation],
                )


def _operation(
    path: str,
    method: str,
    *,
    id_: str,
    summary: str,
    action: Action | None = None,
    credential: Credential = Credential.CALLER,
) -> tuple[str, str, Json]:
    """Return the path without patterns, the method and the operation."""
    found: Json = {
        "operationId": id_,
        "summary": summary,
        "parameters": [_parameter(name, pattern) for name, pattern in _PARAMETER.findall(path)],
        "responses": {
            "2XX": {"description": "Success"},
            "default": {
                "description": "A problem, or an error of the A2A protocol",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if text := _CREDENTIALS[credential]:
        found["description"] = text
    if action is not None:
        found["x-lambdaagent-action"] = action
    return _PARAMETER.sub(r"{\1}", path), method.lower(), found


def _parameter(name: str, pattern: str) -> Json:
    schema: Json = {"type": "string"} | ({"pattern": f"^{pattern}$"} if pattern else {})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def table(rows: Sequence[Route], agent_rows: Sequence[AgentRow]) -> str:
    """Return the paths as a table in Markdown."""
    lines = ["| request | action | summary |", "|---|---|---|"]
    for path, operations in document(rows, agent_rows)["paths"].items():
        for method, operation in operations.items():
            action = operation.get("x-lambdaagent-action")
            shown = f"`{action}`" if action else "by the method"
            lines.append(f"| `{method.upper()} {path}` | {shown} | {operation['summary']} |")
    return "\n".join(lines)
