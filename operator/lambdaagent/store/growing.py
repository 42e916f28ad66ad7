"""A record that chunks are added to: they are folded into its task when somebody reads that, all at once.

Folding each chunk as it comes copies the list of all before it. A stream's task is mostly not read between two chunks:
its followers read the log, and a store that writes no snapshot needs none.

Invariant: nobody can tell such a record from one that was folded at once. What could not be folded is refused when it
is added. Hazard: the list of chunks is shared by the records of one task, each of which has as many of them as it
counts; only the one that has all of them may add to it.
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
    _count: int  # of the chunks that are this record's
    # How much can be added for certain without passing a limit of the task.
    _artifacts_left: int
    _parts_left: int

    @cached_property
    def task(self) -> Json:
        return fold_all(self._base, self._chunks[: self._count])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskRecord) and all(getattr(self, name) == getattr(other, name) for name in _FIELDS)

    __hash__ = None  # type: ignore[assignment]  # as of every record: a task is a dict


def grown(record: TaskRecord, updates: Sequence[Json], **changes: Any) -> TaskRecord:
    """The record with these fields, and its task after these updates. Raises OverfullError."""
    made = _grown(record, updates) if all("artifactUpdate" in update for update in updates) else None
    if made is None:
        return replace(record, task=fold_all(record.task, updates), **changes)
    columns = record.__dict__ | changes | made.__dict__
    columns.pop("task", None)  # of the record before
    made.__dict__.update(columns)
    return made


def _grown(record: TaskRecord, updates: Sequence[Json]) -> Growing | None:
    """None where a limit may be passed: folding tells."""
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
    if len(chunks) != count:  # another record went on from here, such as a change that could not be written
        chunks = chunks[:count]
    chunks.extend(updates)
    made = Growing.__new__(Growing)
    made.__dict__.update(
        _base=base, _chunks=chunks, _count=count + len(updates), _artifacts_left=artifacts_left, _parts_left=parts_left
    )
    return made
