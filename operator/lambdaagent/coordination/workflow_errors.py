"""The errors that a workflow raises and catches: problem details (RFC 7807), of the specification's types."""

from typing import Any

from lambdaagent.a2a import Json

TYPES = "https://serverlessworkflow.io/spec/1.0.0/errors/"
_TITLES = {
    "configuration": (400, "Configuration error"),
    "validation": (400, "Validation error"),
    "expression": (400, "Expression error"),
    "authentication": (401, "Authentication error"),
    "authorization": (403, "Authorization error"),
    "timeout": (408, "Timeout"),
    "communication": (500, "Communication error"),
    "runtime": (500, "Runtime error"),
}
_TEXT = 2_000
_FIELDS = ("type", "status", "title", "detail", "instance")


class WorkflowError(Exception):
    """An error of a run. `instance` is the JSON pointer of the task that raised it, once that is known."""

    def __init__(self, type_: str, status: int, title: str, detail: str = "", instance: str = "") -> None:
        super().__init__(detail or title)
        self.type = type_
        self.status = status
        self.title = title[:_TEXT]
        self.detail = detail[:_TEXT]
        self.instance = instance

    def as_json(self) -> Json:
        known = {name: getattr(self, name) for name in _FIELDS}
        return {name: value for name, value in known.items() if value != ""}


def fault(kind: str, detail: str, *, status: int | None = None, title: str | None = None) -> WorkflowError:
    """Return an error of one of the specification's types."""
    usual, words = _TITLES[kind]
    return WorkflowError(TYPES + kind, status or usual, title or words, detail)


def restored(error: Any) -> WorkflowError:
    """Return an error as it was recorded."""
    return WorkflowError(
        error.get("type", TYPES + "runtime"),
        error.get("status", 500),
        error.get("title", ""),
        error.get("detail", ""),
        error.get("instance", ""),
    )
