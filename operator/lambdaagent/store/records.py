"""What a store keeps, and the protocol that every store meets (`tests/unit/store/test_contract.py`).

A task is created before its container is called, and each change is stored before anybody is told of it, so that what
a client has seen survives. The snapshot goes with the updates that made it: reading a task never replays its log, and
the log is there for those who follow it. Records are never changed in place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState

ANONYMOUS = "anonymous"
Key = tuple[str, str]
"""(source, id) of an event that came from outside."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    id: str
    context_id: str
    namespace: str
    agent: str
    skill: str | None
    owner: str
    version: int  # counts from 0, one per change
    state: TaskState
    created: float  # seconds since the epoch
    updated: float
    task: Json  # the snapshot, in the 1.0 form


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a task's log."""

    version: int
    updates: Sequence[Json]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    namespace: str
    agent: str  # empty where the sender did not say whose it was
    reason: str
    received: float
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    data: bytes = b""


class TaskStore(Protocol):
    async def create(self, record: TaskRecord) -> None:
        """Durable when it returns. Raises StoreFullError, StoreError."""

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        """The task's next version. False: an event of this key changed the task before; nothing is written.

        Raises ConflictError where `record.version` is not the stored version plus one.
        """
        ...

    async def get(self, task_id: str) -> TaskRecord | None: ...

    async def changes(self, task_id: str, *, after: int = 0) -> list[Change]:
        """The log, oldest first, from the version after the given one."""
        ...

    async def unsettled(self) -> list[TaskRecord]:
        """Tasks that something was still working on: neither ended nor waiting for their client."""
        ...

    async def prune(self, *, before: float) -> int:
        """Forgets tasks that ended before then, with their logs; says how many."""
        ...

    async def close(self) -> None: ...


class DeadLetterStore(Protocol):
    async def bury(self, letter: DeadLetter) -> bool:
        """Durable when it returns. False: a letter of the same (namespace, agent, source, id) lies here already."""
        ...

    async def letters(self, namespace: str, *, limit: int = 100) -> list[DeadLetter]:
        """The newest first."""
        ...
