"""Workflows and their runs, as they are stored and shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import Body
from lambdaagent.coordination.workflow_text import Path

PREFIX = "wf-"
"""The name of a workflow among agents is its own with this before it; no agent can be registered under such a name."""
RUN = "run_"
"""The id of a run begins so; no agent can be registered under such an id, whose messages are the run's."""
PROTOCOL = "workflow"
"""How a workflow is reached, as an agent: not at all, because its runs are in the gateway."""
ENDED = ("completed", "faulted", "cancelled")
DEPTH = 8
"""Runs that started one another in a row; a workflow that calls itself ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    name: str
    version: str
    document: Json
    access: Json = field(default_factory=dict)  # who else may run it, as spec.a2a.access
    created_by: str
    created_at: float = 0.0
    modified_at: float = 0.0

    @property
    def agent_name(self) -> str:
        return PREFIX + self.name

    @property
    def title(self) -> str:
        head = self.document["document"]
        return str(head.get("title") or head["name"])

    @property
    def summary(self) -> str:
        return str(self.document["document"].get("summary") or f"Runs the workflow {self.name}.")

    @property
    def input_schema(self) -> Json | None:
        found: Json | None = self.document.get("input", {}).get("schema", {}).get("document")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    run_id: str
    workflow: str
    version: str
    document: Json
    input: Any
    created_by: str
    principal: str  # its creator as it is stored, to check its rights when a task calls an agent
    depth: int = 0
    status: str = "pending"
    output: Any = None
    error: Json | None = None
    steps: int = 0
    size: int = 0  # bytes of the records of its steps
    epoch: int = 0  # how often a replica has taken it
    holder: str = ""
    created_at: float = 0.0
    modified_at: float = 0.0
    started_at: float | None = None
    completed_at: float | None = None

    @property
    def qualified_name(self) -> str:
        """The name of the run in the specification's events."""
        return f"{self.workflow}-{self.run_id}.{self.document['document']['namespace']}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A run that has not ended, as whoever sends to a topic must know it."""

    run_id: str
    workflow: str
    created_by: str


class NewRun(Body):
    """What starts a run."""

    input: Any = None
    run_id: Annotated[str, Field(pattern=r"^run_[A-Za-z0-9]{8,64}$")] | None = None


class BadWorkflowError(Exception):
    """The document is refused. Each fault has a pointer, a line and a text."""

    def __init__(self, faults: list[Json]) -> None:
        super().__init__("; ".join(f"line {each['line']}: {each['pointer']} {each['detail']}" for each in faults[:3]))
        self.faults = faults


def fault_at(path: Path, line: int, pointer: str, text: str) -> Json:
    return {"line": line, "pointer": pointer or "/", "detail": text, "field": str(path[-1]) if path else ""}


def shown(run: Run, times: Mapping[str, str | None]) -> Json:
    """Return the run as its creator reads it."""
    names = ("run_id", "workflow", "version", "input", "created_by", "status", "output", "error", "steps")
    return {name: getattr(run, name) for name in names} | dict(times)
