"""When a task's snapshot is written with a change, and when its entry in the log is enough (decision 0019).

A long answer comes in many chunks. Writing the whole task with each of them costs the square of its length, so a large
task's snapshot is written when a half has come to it since the last time, and readers fold the log onto it. Small tasks
are written whole with each change, and so is every task that settles: most readers find nothing to fold.

Invariant: the log's entries after a snapshot's version are `foldable`, so that folding them onto it gives the task as
its last writer had it. Nothing else here is needed for that: the sizes are only an account of what this process wrote
itself, and where it has none, or another writer came between, the snapshot is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.store.records import TaskRecord

SMALL = 16 * 1024
"""Bytes of a snapshot that is written with each change."""
SHARE = 2
"""What is not in the snapshot is at most so large a part of it: a half."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Written:
    version: int
    size: int  # bytes of the snapshot
    behind: int  # bytes of the log's entries after it


class Snapshots:
    def __init__(self, *, most: int = _MOST, allowed: bool = True) -> None:
        """`allowed`: whoever reads the database folds the log. If not, snapshots are written with each change."""
        self.allowed = allowed
        self._most = most
        self._written: dict[str, _Written] = {}

    def has_enough(self, record: TaskRecord, updates: Sequence[Json], *, added: int) -> bool:
        """Whether the change, of so many bytes in the log, may be written without a snapshot."""
        known = self._written.get(record.id)
        return (
            known is not None
            and known.version == record.version - 1
            and self.allowed
            and not record.state.settled
            and (known.behind + added) * SHARE <= known.size
            and foldable(updates)
        )

    def wrote(self, record: TaskRecord, *, size: int | None, added: int) -> None:
        """The change is in the store, with a snapshot of `size` bytes or without one."""
        known = self._written.pop(record.id, None)
        if record.state.settled or (size is not None and size <= SMALL):
            return
        if size is not None:
            self._written[record.id] = _Written(record.version, size, 0)
        elif known is not None:
            self._written[record.id] = _Written(record.version, known.size, known.behind + added)
        while len(self._written) > self._most:
            del self._written[next(iter(self._written))]

    def forget(self, task_id: str) -> None:
        """What became of a change is not known, or it was not written."""
        self._written.pop(task_id, None)


def foldable(updates: Sequence[Json]) -> bool:
    """Whether `fold_all` makes of the former snapshot what their writer made of it."""
    return bool(updates) and all("artifactUpdate" in update or "statusUpdate" in update for update in updates)
