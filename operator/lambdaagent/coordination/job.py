"""Tasks that are distributed to agents (definitions), and their runs (jobs), as requirement 001 has them.

An attempt of a job is one agent's: its number is written with whatever ends it, so an attempt that was given up ends
nothing later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lambdaagent.a2a import Json
from lambdaagent.coordination.bodies import Body, Id, Metadata, Text, size_of
from lambdaagent.coordination.hook import Hook
from lambdaagent.coordination.schedule import Schedule
from lambdaagent.json_schema import structure
from lambdaagent.json_schema.structure import Budget

Strategy = Literal["round-robin", "by-capacity", "auto"]
JobStatus = Literal["pending", "assigned", "running", "completed", "failed", "cancelled"]
ENDED = ("completed", "failed", "cancelled")
JOB, ATTEMPT = "job_id", "attempt"
"""The metadata of the message that asks an agent for a job."""
Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_](?:[A-Za-z0-9_.:-]*[A-Za-z0-9_])?$")]
Type = Annotated[str, Field(min_length=1, max_length=100)]
Priority = Annotated[int, Field(ge=1, le=10)]
_LARGEST = 256 * 1024  # bytes of an input or a schema


class _Bounded(Body):
    @field_validator("input_data", "input_schema", "output_schema", check_fields=False)
    @classmethod
    def _small(cls, value: Any) -> Any:
        if value is not None and size_of(value) > _LARGEST:
            raise ValueError(f"must have at most {_LARGEST} bytes")
        return value


class NewDefinition(_Bounded):
    task_id: Key | None = None
    name: Annotated[str, Field(min_length=1, max_length=255)]
    description: Text = ""
    task_type: Type
    required_capabilities: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=50)] = []
    input_schema: Json = {}
    output_schema: Json = {}
    priority: Priority = 5
    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    strategy: Strategy = "auto"
    agent_id: Id | None = None
    metadata: Metadata = {}
    input_data: Json = {}
    schedule: Schedule | None = None
    webhook: Hook | None = None

    @field_validator("input_schema", "output_schema")
    @classmethod
    def _schema(cls, schema: Json) -> Json:
        if schema and (faults := structure.faults(schema, Budget())):
            raise ValueError(f"is no schema that can be checked: {faults[0][1]}")
        return schema


class NewJob(_Bounded):
    job_id: Key | None = None
    task_id: Key | None = None
    task_type: Type | None = None
    input_data: Json = {}
    agent_id: Id | None = None
    strategy: Strategy | None = None
    priority: Priority | None = None
    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    metadata: Metadata = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    task_id: str
    name: str
    description: str
    task_type: str
    required_capabilities: Sequence[str]
    input_schema: Json
    output_schema: Json
    priority: int
    max_retries: int
    timeout_seconds: int
    strategy: str
    agent_id: str
    metadata: Json
    created_by: str
    principal: str = ""  # its creator as it is stored, to check its rights when it is run by itself
    input_data: Json = field(default_factory=dict)  # of runs by its schedule
    cron: str = ""
    timezone: str = "UTC"
    next_run_at: float | None = None
    hook_kind: str = ""
    hook_id: str | None = None
    created_at: float = 0.0
    modified_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    job_id: str
    task_id: str  # empty: it is a run of a task type without a definition
    task_type: str
    required_capabilities: Sequence[str]
    agent_id: str  # the only agent that may do it; empty: whoever can
    strategy: str
    priority: int
    max_retries: int
    timeout_seconds: int
    input_data: Json
    metadata: Json
    created_by: str
    principal: str  # its creator as it is stored, to check its rights when the job is assigned
    status: str = "pending"
    attempt: int = 0
    assigned_agent_id: str | None = None
    a2a_task_id: str = ""  # the task at the agent, whose artifacts are the result
    output_data: Json = field(default_factory=dict)
    error_message: str | None = None
    retry_count: int = 0
    created_at: float = 0.0
    modified_at: float = 0.0
    started_at: float | None = None
    completed_at: float | None = None
    execution_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that can do a job. `free` is the part of its capacity that it reports as free, 0 to 1."""

    agent_id: str
    free: float = 1.0
    capacity: int = 100  # jobs that it can do at once


def chosen(candidates: Sequence[Candidate], strategy: str, *, inflight: dict[str, int], turn: int) -> str:
    """Return the agent that gets the job. `turn` counts the jobs of this kind so far.

    `round-robin` takes them in turn; `by-capacity` and `auto` the one with the largest free part, counting what it does
    already, and in turn among equals.
    """
    ordered = sorted(candidates, key=lambda each: each.agent_id)
    if strategy == "round-robin":
        return ordered[turn % len(ordered)].agent_id

    def free(each: Candidate) -> float:
        return min(each.free, 1.0 - inflight.get(each.agent_id, 0) / max(1, each.capacity))

    best = max(free(each) for each in ordered)
    equals = [each for each in ordered if free(each) == best]
    return equals[turn % len(equals)].agent_id
