"""A task record to which chunks are added; they are folded into its task in one step, when the task is read.

To fold each chunk as it arrives would copy the list of all previous chunks. The task of a stream is mostly not read
between two chunks: its followers read the log, and a store that writes no snapshot does not need the task.

Invariant: such a record behaves like one that was folded at once. What cannot be folded is refused when it is added.
Hazard: the records of one task share the list of chunks, and each counts how many of them are its own; only the record
that has all of them may append to the list.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.a2a.tasks import MOST_ARTIFACTS, MOST_PARTS, fold_all
from lambdaagent.store.records import TaskRecord

_FIELDS = tuple(field.name for field in fields(TaskRecord))


class Growing(TaskRecord):
    _base: Json
    _chunks: list[Json]
    _count: int  # how many of the chunks belong to this record
    # What can be added without reaching a limit of the task; a lower bound.
    _artifacts_left: int
    _parts_left: int

    @cached_property
    def task(self) -> Json:
        return fold_all(self._base, self._chunks[: self._count])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskRecord) and all(getattr(self, name) == getattr(other, name) for name in _FIELDS)

    __hash__ = None  # type: ignore[assignment]  # like every record: a task is a dict


def grown(record: TaskRecord, updates: Sequence[Json], **changes: Any) -> TaskRecord:
    """Return the record with these fields and with these updates applied to its task. Raises OverfullError."""
    made = _grown(record, updates) if all("artifactUpdate" in update for update in updates) else None
    if made is None:
        return replace(record, task=fold_all(record.task, updates), **changes)
    columns = record.__dict__ | changes | made.__dict__
    columns.pop("task", None)  # of the previous record
    made.__dict__.update(columns)
    return made


def _grown(record: TaskRecord, updates: Sequence[Json]) -> Growing | None:
    """Return None where a limit may be exceeded; folding then decides."""
    if isinstance(record, Growing) and "task" not in record.__dict__:
        base, chunks, count = record._base, record._chunks, record._count
        artifacts_left, parts_left = record._artifacts_left, record._parts_left
    else:
        base, chunks, count = record.task, [], 0
        known = base.get("artifacts", [])
        artifacts_left = MOST_ARTIFACTS - len(known)
        parts_left = MOST_PARTS - max((len(artifact["parts"]) for artifact in known), default=0)
    for update in updates:
        artifact = update["artifactUpdate"]["artifact"]
        if "artifactId" not in artifact:
            return None
        artifacts_left -= 1
        parts_left -= len(artifact["parts"])
    if min(artifacts_left, parts_left) < 0:
        return None
    if len(chunks) != count:  # another record was extended from here, such as a change that could not be written
        chunks = chunks[:count]
    chunks.extend(updates)
    made = Growing.__new__(Growing)
    made.__dict__.update(
        _base=base, _chunks=chunks, _count=count + len(updates), _artifacts_left=artifacts_left, _parts_left=parts_left
    )
    return made
