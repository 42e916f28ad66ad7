"""The errors of the extension's methods: JSON-RPC's and A2A's codes, and a table of its own for the others.

A2A owns -32001 to -32009 and MCP -32020 to -32022; the codes here are -32050 to -32059. Each error has `data.reason`,
which does not change, and for parameters `data.fields`.
"""

from dataclasses import dataclass
from enum import Enum

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError
from lambdaagent.errors import PermanentError


@dataclass(frozen=True, slots=True)
class ExtensionKind:
    code: int
    reason: str


class ExtensionProblem(Enum):
    NOT_DISCOVERABLE = ExtensionKind(-32050, "AGENT_NOT_DISCOVERABLE")


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
