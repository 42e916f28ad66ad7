"""The errors of the extension's methods: JSON-RPC's and A2A's codes, and a table of its own for the others.

A2A owns -32001 to -32009 and MCP -32020 to -32022; the codes here are -32050 to -32059. Each error has `data.reason`,
which does not change, and for parameters `data.fields`. What an HTTP endpoint would answer with a problem has the
problem's kind as its reason, and its status.
"""

from dataclasses import dataclass
from enum import Enum

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.errors import PermanentError


@dataclass(frozen=True, slots=True)
class ExtensionKind:
    code: int
    reason: str = ""  # empty: the problem's own kind, as over HTTP
    statuses: tuple[int, ...] = ()  # the HTTP statuses of the problems that it stands for


class ExtensionProblem(Enum):
    NOT_DISCOVERABLE = ExtensionKind(-32050, "AGENT_NOT_DISCOVERABLE")
    FORBIDDEN = ExtensionKind(-32051, statuses=(403,))
    NOT_FOUND = ExtensionKind(-32052, statuses=(404, 410))
    CONFLICT = ExtensionKind(-32053, statuses=(409,))
    VERSION_CHANGED = ExtensionKind(-32054, statuses=(412,))
    TOO_LARGE = ExtensionKind(-32055, statuses=(413,))
    UNFIT = ExtensionKind(-32056, statuses=(422,))
    TOO_MANY = ExtensionKind(-32057, statuses=(429,))
    LOOP = ExtensionKind(-32058, statuses=(508,))
    REFUSED = ExtensionKind(-32059)  # every other status


class ExtensionError(PermanentError):
    """The text says what to do about it."""

    def __init__(self, problem: ExtensionProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


def body(error: ExtensionError | A2AError) -> Json:
    """Return the error as the member `error` of a JSON-RPC response."""
    kind = error.problem.value
    data: Json = {"reason": kind.reason}
    if isinstance(error, A2AError):
        data |= error.metadata
        if error.violations:
            data["fields"] = [{"field": each.field, "reason": each.description} for each in error.violations]
    return {"code": kind.code, "message": str(error), "data": data}


def of_problem(status: int, kind: str, message: str) -> Json:
    """Return the error for a problem of an HTTP endpoint: its kind is the reason."""
    found = next((each.value for each in ExtensionProblem if status in each.value.statuses), None)
    code = Problem.INVALID_PARAMS.value.code if status == 400 else (found or ExtensionProblem.REFUSED.value).code
    return {"code": code, "message": message, "data": {"reason": kind, "status": status}}
