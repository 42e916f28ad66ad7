"""Tasks in memory, for trying out and for benchmarks of other parts. A restart loses them all.

The number of tasks is bounded: the task that ended longest ago is dropped for a new one. A task that has not ended is
never dropped; when such tasks take all places, a new one is refused.

The store refuses what the other stores could not write: a list of tasks is written as one JSON text, and a single task
that is not valid JSON would make the whole list fail.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from lambdaagent.a2a import Json
from lambdaagent.store.errors import StoreFullError, TaskConflictError
from lambdaagent.store.records import COUNTED, DeadLetter, Key, Letters, Page, Push, TaskChange, TaskQuery, TaskRecord
from lambdaagent.store.rows import as_json, letter_key, letter_number
from lambdaagent.store.snapshots import foldable

_Once = tuple[str, str, str, str]


@dataclass(slots=True)
class _Entry:
    record: TaskRecord
    idempotency_key: _Once | None = None
    log: list[TaskChange] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    pushes: dict[str, Push] = field(default_factory=dict)


class MemoryStore:
    shared = False

    def __init__(self, *, max_tasks: int = 10_000, max_letters: int = 1_000, max_deliveries: int = 100_000) -> None:
        self._max_tasks = max_tasks
        self._tasks: dict[str, _Entry] = {}
        self._once: dict[_Once, str] = {}
        self._ended: dict[str, None] = {}  # ids in the order in which they ended
        self._pushed: dict[str, None] = {}  # tasks with push configurations, the latest claimed one last
        self._living: dict[str, float] = {}
        self._letters: deque[DeadLetter] = deque(maxlen=max_letters)
        self._freed: set[str] = set()  # ids of letters whose key may be used again
        self._lettered = 0  # letters added since the start; the last one's id
        self._max_deliveries = max_deliveries
        self._delivered: dict[tuple[str, str, Key], float] = {}  # in the order in which they were recorded

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        key = (record.namespace, record.agent, record.owner, idempotency_key) if idempotency_key is not None else None
        if key is not None and (known := self._once.get(key)) is not None:
            return known
        if record.id in self._tasks:
            raise TaskConflictError(f"task {record.id} exists already")
        as_json(record.task)
        while len(self._tasks) >= self._max_tasks:
            oldest = next(iter(self._ended), None)
            if oldest is None:
                raise StoreFullError(f"the limit of {self._max_tasks} tasks is reached, and none of them has ended")
            self._forget(oldest)
        self._tasks[record.id] = _Entry(record, key)
        if key is not None:
            self._once[key] = record.id
        if push is not None:
            await self.put_push(push)
        if record.state.terminal:
            self._ended[record.id] = None
        return None

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        entry = self._tasks.get(record.id)
        if entry is None:
            raise TaskConflictError(f"task {record.id} no longer exists")
        if key is not None and key in entry.keys:
            return False
        if entry.record.version + 1 != record.version:
            raise TaskConflictError(f"task {record.id} is at version {entry.record.version}, not {record.version - 1}")
        # The rest of the snapshot was checked when it was written.
        as_json(updates if foldable(updates) else [record.task.get("status"), *updates])
        if key is not None:
            entry.keys.add(key)
        entry.record = record
        entry.log.append(TaskChange(record.version, tuple(updates)))
        if record.state.terminal:
            self._ended[record.id] = None
        return True

    async def changed_by(self, task_id: str, key: Key) -> bool:
        entry = self._tasks.get(task_id)
        return entry is not None and key in entry.keys

    async def get(self, task_id: str, *, known: TaskRecord | None = None) -> TaskRecord | None:
        entry = self._tasks.get(task_id)
        return entry.record if entry is not None else None

    async def changes(self, task_id: str, *, after: int = 0) -> list[TaskChange]:
        entry = self._tasks.get(task_id)
        # Every version from 1 on has an entry, so a version is its position.
        return entry.log[after:] if entry is not None else []

    async def find(self, listing: TaskQuery) -> Page:
        wanted = (
            entry.record
            for entry in self._tasks.values()
            if (entry.record.namespace, entry.record.agent) == (listing.namespace, listing.agent)
            and listing.owner in (None, entry.record.owner)
            and listing.context_id in (None, entry.record.context_id)
            and listing.state in (None, entry.record.state)
            and (listing.updated_from is None or entry.record.updated >= listing.updated_from)
        )
        ordered = sorted(wanted, key=lambda record: (record.updated, record.id), reverse=True)
        after = listing.after
        rest = ordered if after is None else [each for each in ordered if (each.updated, each.id) < after]
        return Page(rest[: listing.limit], total=min(len(ordered), COUNTED), more=len(rest) > listing.limit)

    async def unsettled(self, *, holders: Collection[str] | None = None) -> list[TaskRecord]:
        return [
            entry.record
            for entry in self._tasks.values()
            if not entry.record.state.settled and (holders is None or entry.record.holder in holders)
        ]

    async def held(self, holder: str) -> set[str]:
        return {
            task_id
            for task_id, entry in self._tasks.items()
            if entry.record.holder == holder and not entry.record.state.settled
        }

    async def working(self, namespace: str, agent: str, owner: str, *, most: int) -> int:
        wanted = (namespace, agent, owner)
        records = (entry.record for entry in self._tasks.values())
        found = (each for each in records if not each.state.settled)
        return sum(1 for each in found if (each.namespace, each.agent, each.owner) == wanted)

    async def overdue(self, *, now: float, held_before: float) -> list[TaskRecord]:
        return [
            entry.record
            for entry in self._tasks.values()
            if not entry.record.state.settled and entry.record.deadline < (held_before if entry.record.holder else now)
        ]

    async def prune(self, *, before: float, keep: int | None = None) -> int:
        ended = sorted((self._tasks[task_id].record.updated, task_id) for task_id in self._ended)
        old = sum(updated < before for updated, _ in ended)
        if keep is not None:
            old = max(old, len(ended) - keep)
        for _, task_id in ended[:old]:
            self._forget(task_id)
        return old

    async def beat(self, holder: str, *, seconds: float) -> None:
        self._living[holder] = time.monotonic() + seconds

    async def expired_replicas(self) -> list[str]:
        now = time.monotonic()
        self._living = {holder: until for holder, until in self._living.items() if until > now}
        holders = {entry.record.holder for entry in self._tasks.values() if not entry.record.state.settled}
        return sorted(holders - self._living.keys() - {""})

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        """Do nothing: there are no other replicas."""

    async def put_push(self, push: Push) -> None:
        entry = self._tasks.get(push.task_id)
        if entry is None:
            raise TaskConflictError(f"task {push.task_id} no longer exists")
        known = entry.pushes.get(push.id)
        entry.pushes[push.id] = replace(push, sent=known.sent) if known else push
        self._pushed[push.task_id] = None

    async def pushes(self, task_id: str) -> list[Push]:
        entry = self._tasks.get(task_id)
        return list(entry.pushes.values()) if entry is not None else []

    async def drop_push(self, task_id: str, push_id: str) -> bool:
        entry = self._tasks.get(task_id)
        return entry is not None and entry.pushes.pop(push_id, None) is not None

    async def claim_pushes(self, *, now: float, until: float, limit: int) -> list[Push]:
        found: list[Push] = []
        for task_id in self._pushed:
            entry = self._tasks[task_id]
            for push in entry.pushes.values():
                if not push.dead and push.due <= now and push.sent < entry.record.version:
                    found.append(push)
            if len(found) >= limit:
                break
        found.sort(key=lambda push: push.due)
        for push in found[:limit]:
            self._tasks[push.task_id].pushes[push.id] = replace(push, due=until)
            # Its turn comes after all others, so receivers that are due again and again keep none back.
            self._pushed[push.task_id] = self._pushed.pop(push.task_id)
        return found[:limit]

    async def settle_push(self, push: Push) -> None:
        entry = self._tasks.get(push.task_id)
        if entry is not None and push.id in entry.pushes:
            known = entry.pushes[push.id]
            entry.pushes[push.id] = replace(known, sent=push.sent, attempts=push.attempts, due=push.due, dead=push.dead)

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        if any(_same(letter, other) and other.id not in self._freed for other in self._letters):
            return False
        as_json(dict(letter.attributes))
        self._lettered += 1
        self._letters.append(replace(letter, id=str(self._lettered)))
        return True

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]:
        return [letter for letter in reversed(self._letters) if _matches(letter, wanted)][: wanted.limit]

    async def letter(self, letter_id: str) -> DeadLetter | None:
        return next((letter for letter in self._letters if letter.id == letter_id), None)

    async def free_letter(self, letter_id: str) -> bool:
        self._freed &= {letter.id for letter in self._letters}
        known = await self.letter(letter_id) is not None
        if known:
            self._freed.add(letter_id)
        return known

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        gone = [letter for letter in self._letters if letter.id in letter_ids]
        for letter in gone:
            self._letters.remove(letter)
        return len(gone)

    async def prune_letters(self, *, before: float) -> int:
        return await self.drop_letters({letter.id for letter in self._letters if letter.received < before})

    async def record_delivery(self, *, namespace: str, agent: str, key: Key, now: float) -> bool:
        known = (namespace, agent, key)
        if known in self._delivered:
            return False
        if len(self._delivered) >= self._max_deliveries:
            del self._delivered[next(iter(self._delivered))]
        self._delivered[known] = now
        return True

    async def deliveries(self, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
        mine = [
            (at, key) for (*whose, key), at in self._delivered.items() if whose == [namespace, agent] and at >= since
        ]
        return [key for _, key in sorted(mine, key=lambda each: each[0], reverse=True)[:limit]]

    async def prune_deliveries(self, *, before: float) -> int:
        old = [known for known, at in self._delivered.items() if at < before]
        for known in old:
            del self._delivered[known]
        return len(old)

    async def close(self) -> None:
        """Do nothing."""

    def _forget(self, task_id: str) -> None:
        entry = self._tasks.pop(task_id)
        self._ended.pop(task_id, None)
        self._pushed.pop(task_id, None)
        if entry.idempotency_key is not None:
            self._once.pop(entry.idempotency_key, None)


def _same(one: DeadLetter, other: DeadLetter) -> bool:
    return letter_key(one) is not None and letter_key(one) == letter_key(other)


def _matches(letter: DeadLetter, wanted: Letters) -> bool:
    return (
        wanted.namespace in (None, letter.namespace)
        and wanted.agent in (None, letter.agent)
        and wanted.type in (None, letter.attributes.get("type"))
        and (wanted.received_from is None or letter.received >= wanted.received_from)
        and (wanted.received_before is None or letter.received < wanted.received_before)
        and (not wanted.after or int(letter.id) < (letter_number(wanted.after) or 0))
    )
