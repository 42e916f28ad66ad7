"""Tasks in memory: for trying out, and for benchmarks of everything else. A restart forgets them all.

Bounded by count: the task that ended longest ago makes room. One that has not ended is never dropped; when all places
are taken by such, a new task is refused.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdaagent.a2a import Json
from lambdaagent.store.errors import ConflictError, StoreFullError
from lambdaagent.store.records import Change, DeadLetter, Key, TaskRecord


@dataclass(slots=True)
class _Entry:
    record: TaskRecord
    log: list[Change] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)


class MemoryStore:
    def __init__(self, *, max_tasks: int = 10_000, max_letters: int = 1_000) -> None:
        self._max_tasks = max_tasks
        self._tasks: dict[str, _Entry] = {}
        self._ended: dict[str, None] = {}  # ids in the order in which they ended
        self._letters: deque[DeadLetter] = deque(maxlen=max_letters)

    async def create(self, record: TaskRecord) -> None:
        if record.id in self._tasks:
            raise ConflictError(f"there is a task {record.id} already")
        while len(self._tasks) >= self._max_tasks:
            oldest = next(iter(self._ended), None)
            if oldest is None:
                raise StoreFullError(f"all {self._max_tasks} places are taken by tasks that have not ended")
            self._forget(oldest)
        self._tasks[record.id] = _Entry(record)
        if record.state.terminal:
            self._ended[record.id] = None

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        entry = self._tasks.get(record.id)
        if entry is None:
            raise ConflictError(f"there is no task {record.id} any more")
        if key is not None and key in entry.keys:
            return False
        if entry.record.version + 1 != record.version:
            raise ConflictError(f"task {record.id} is at version {entry.record.version}, not {record.version - 1}")
        if key is not None:
            entry.keys.add(key)
        entry.record = record
        entry.log.append(Change(record.version, tuple(updates)))
        if record.state.terminal:
            self._ended[record.id] = None
        return True

    async def get(self, task_id: str) -> TaskRecord | None:
        entry = self._tasks.get(task_id)
        return entry.record if entry is not None else None

    async def changes(self, task_id: str, *, after: int = 0) -> list[Change]:
        entry = self._tasks.get(task_id)
        return [change for change in entry.log if change.version > after] if entry is not None else []

    async def unsettled(self) -> list[TaskRecord]:
        return [entry.record for entry in self._tasks.values() if not entry.record.state.settled]

    async def prune(self, *, before: float) -> int:
        old = [task_id for task_id in self._ended if self._tasks[task_id].record.updated < before]
        for task_id in old:
            self._forget(task_id)
        return len(old)

    async def bury(self, letter: DeadLetter) -> bool:
        if any(_same(letter, other) for other in self._letters):
            return False
        self._letters.append(letter)
        return True

    async def letters(self, namespace: str, *, limit: int = 100) -> list[DeadLetter]:
        return [letter for letter in reversed(self._letters) if letter.namespace == namespace][:limit]

    async def close(self) -> None:
        """Nothing to do: what is in memory goes with it."""

    def _forget(self, task_id: str) -> None:
        del self._tasks[task_id]
        del self._ended[task_id]


def _same(one: DeadLetter, other: DeadLetter) -> bool:
    """Letters without an id are never the same: there is nothing to tell them by."""
    return letter_key(one) is not None and letter_key(one) == letter_key(other)


def letter_key(letter: DeadLetter) -> tuple[str, str, str, str] | None:
    source, id_ = letter.attributes.get("source"), letter.attributes.get("id")
    return (letter.namespace, letter.agent, str(source), str(id_)) if source and id_ else None
