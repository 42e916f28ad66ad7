"""Decides whether a task's snapshot is written with a change, or its log entry is enough (decision 0019).

A long response comes in many chunks. To write the whole task with each of them would cost the square of its length, so
the snapshot of a large task is written only when the log has grown by half the snapshot's size since the last one, and
readers fold the log onto it. Small tasks, and every task that settles, are written whole with each change, so that most
readers have nothing to fold.

Invariant: the log's entries after a snapshot's version are `foldable`, so that folding them onto it gives the task that
its last writer had. Correctness needs nothing else: the sizes only account for what this process wrote, and where it
has none, or another writer came between, the snapshot is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.store.records import TaskRecord

SMALL = 16 * 1024
"""Bytes up to which a snapshot is written with each change."""
SHARE = 2
"""Divisor: the log's entries after a snapshot take at most this part of its size, a half."""
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Written:
    version: int
    size: int  # bytes of the snapshot
    behind: int  # bytes of the log's entries after it


class Snapshots:
    def __init__(self, *, most: int = _MOST, allowed: bool = True) -> None:
        """`allowed`: all readers of the database fold the log. If not, snapshots are written with each change."""
        self.allowed = allowed
        self._most = most
        self._written: dict[str, _Written] = {}

    def has_enough(self, record: TaskRecord, updates: Sequence[Json], *, added: int) -> bool:
        """Return whether the change, of `added` bytes in the log, may be written without a snapshot."""
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
        """Account for a stored change, with a snapshot of `size` bytes or without one."""
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
        """Drop the account of a task whose change was not written, or may not have been."""
        self._written.pop(task_id, None)


def foldable(updates: Sequence[Json]) -> bool:
    """Return whether `fold_all` onto the previous snapshot gives the task that the writer of the updates had."""
    return bool(updates) and all("artifactUpdate" in update or "statusUpdate" in update for update in updates)
