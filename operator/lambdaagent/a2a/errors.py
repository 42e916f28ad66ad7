"""The protocol's errors: one table, from which every binding takes its code, status and reason (1.0.1 section 5.4).

1.0 requires `data` to be a list of ProtoJSON Any with a google.rpc.ErrorInfo; 0.3 leaves it open, so its clients get
the same list and a reader of either version finds the reason in one place. Three HTTP statuses differ between 1.0.0,
which conformance kits still require, and 1.0.1; the rest of the table is the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from lambdaagent.errors import PermanentError

DOMAIN = "a2a-protocol.org"


class Edition(StrEnum):
    """The edition of the specification whose HTTP statuses are used."""

    LATEST = "1.0.1"
    FIRST = "1.0.0"


@dataclass(frozen=True, slots=True)
class Kind:
    code: int  # JSON-RPC
    http: int
    status: str  # google.rpc.Code
    reason: str
    message: str
    http_at_first: int = 0  # in 1.0.0; 0: the same as `http`

    def http_of(self, edition: Edition) -> int:
        return self.http_at_first or self.http if edition is Edition.FIRST else self.http

    @property
    def name(self) -> str:
        """The name of the error's class in 0.3's SDKs, which look for it in a REST response."""
        return self.reason.removesuffix("_ERROR").title().replace("_", "") + "Error"


class Problem(Enum):
    PARSE = Kind(-32700, 400, "INVALID_ARGUMENT", "JSON_PARSE_ERROR", "The request is not JSON.")
    INVALID_REQUEST = Kind(-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST", "The request is not valid.")
    METHOD_NOT_FOUND = Kind(-32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND", "There is no such method.")
    INVALID_PARAMS = Kind(-32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS", "The parameters are not valid.")
    INTERNAL = Kind(-32603, 500, "INTERNAL", "INTERNAL_ERROR", "The gateway failed to serve the request.")
    TASK_NOT_FOUND = Kind(-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND", "Task not found.")
    TASK_NOT_CANCELABLE = Kind(
        -32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE", "The task cannot be canceled.", http_at_first=409
    )
    PUSH_NOT_SUPPORTED = Kind(
        -32003,
        400,
        "FAILED_PRECONDITION",
        "PUSH_NOTIFICATION_NOT_SUPPORTED",
        "This agent offers no push notifications.",
    )
    UNSUPPORTED_OPERATION = Kind(
        -32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION", "This operation is not supported."
    )
    CONTENT_TYPE = Kind(
        -32005,
        400,
        "INVALID_ARGUMENT",
        "CONTENT_TYPE_NOT_SUPPORTED",
        "The content type is not supported.",
        http_at_first=415,
    )
    INVALID_AGENT_RESPONSE = Kind(
        -32006, 500, "INTERNAL", "INVALID_AGENT_RESPONSE", "The agent's answer is not valid.", http_at_first=502
    )
    NO_EXTENDED_CARD = Kind(
        -32007,
        400,
        "FAILED_PRECONDITION",
        "EXTENDED_AGENT_CARD_NOT_CONFIGURED",
        "There is no extended agent card.",
    )
    EXTENSION_REQUIRED = Kind(
        -32008, 400, "FAILED_PRECONDITION", "EXTENSION_SUPPORT_REQUIRED", "An extension is required."
    )
    # Neither version has a code for it; the server errors of JSON-RPC begin here (JSON-RPC 2.0 section 5.1).
    PERMISSION_DENIED = Kind(-32000, 403, "PERMISSION_DENIED", "PERMISSION_DENIED", "The caller may not do this.")
    VERSION = Kind(
        -32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED", "The protocol version is not supported."
    )


@dataclass(frozen=True, slots=True)
class Violation:
    field: str
    description: str


class A2AError(PermanentError):
    def __init__(
        self,
        problem: Problem,
        message: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: tuple[Violation, ...] = (),
    ) -> None:
        super().__init__(message or problem.value.message)
        self.problem = problem
        self.metadata = dict(metadata or {})
        self.violations = violations

    def details(self) -> list[dict[str, Any]]:
        kind = self.problem.value
        info: dict[str, Any] = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": kind.reason,
            "domain": DOMAIN,
        }
        if self.metadata:
            info["metadata"] = self.metadata
        details = [info]
        if self.violations:
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        {"field": each.field, "description": each.description} for each in self.violations
                    ],
                }
            )
        return details


def not_found(detail: str, *, task_id: str) -> A2AError:
    """Return the error with the words that clients of 0.3 look for in the message, and the task's id."""
    shown = task_id[:64]
    return A2AError(Problem.TASK_NOT_FOUND, f"Task not found: {detail}", metadata={"taskId": shown})


SHOWN = 20
"""How many violations an error names; the others are only counted."""


def summary(violations: Sequence[Violation], *, between: str = ": ") -> str:
    """Return the first violations in one line, with the number of the others."""
    said = "; ".join(f"{each.field}{between}{each.description}" for each in violations[:SHOWN])
    more = len(violations) - SHOWN
    return f"{said}; and {more} more" if more > 0 else said


def invalid(*violations: Violation) -> A2AError:
    """Return the error for invalid parameters.

    Its message names the violations too, because many clients show only that.
    """
    text = f"Invalid parameters: {summary(violations)}"
    return A2AError(Problem.INVALID_PARAMS, text, violations=violations[:SHOWN])
