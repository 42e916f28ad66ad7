"""The records that a store keeps, and the protocols of a store (contract: `tests/unit/store/test_contract.py`).

A task is created before its container is called, and each change is stored before any client receives it, so that what
a client has seen is not lost. Each change has an entry in the task's log. The snapshot is written with the change,
except for large tasks that grow by chunks: their snapshot may be older, and the store folds the later entries of the
log onto it before it returns the record (`snapshots`). Records are never changed in place.

A record that cannot be decrypted (`sealing`) does not hide the others: where many are read, it is marked as
`unreadable`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState

ANONYMOUS = "anonymous"
Key = tuple[str, str]
"""(source, id) of an event that came from outside."""
Cursor = tuple[float, str]
"""Time of the last change and id of a task: the position where a page of a list ended."""
PAGE_BYTES = 32 * 1024 * 1024
"""Bytes of snapshots after which a page ends: the task that reaches the limit is the last of its page."""
COUNTED = 10_000
"""The limit of a list's total: counting a million tasks would read them all for a total that no client pages to."""


@dataclass(frozen=True)  # without slots: see `growing`
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
    holder: str = ""  # the replica that works on it; empty while the task waits for an event or the client
    deadline: float = 0.0  # a task that has not settled by then fails
    remote: str = ""  # the task's id at a container that is an A2A server itself
    unreadable: str = ""  # why the store cannot decrypt `task`, which is a substitute then and must not be written


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One entry of a task's log."""

    version: int
    updates: Sequence[Json]


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Selects tasks of one agent; the latest change comes first."""

    namespace: str
    agent: str
    owner: str | None  # None: tasks of every owner
    context_id: str | None = None
    state: TaskState | None = None
    updated_from: float | None = None  # inclusive
    after: Cursor | None = None  # only tasks after this one in the order (updated descending, id descending)
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    records: Sequence[TaskRecord]
    total: int  # of all pages, at most COUNTED
    more: bool


@dataclass(frozen=True, slots=True)
class Push:
    """A push configuration and its progress.

    The task's log is the outbox: everything up to the version `sent` has arrived at the receiver.
    """

    task_id: str
    id: str
    url: str
    wire: str  # the protocol version that the receiver understands, "1.0" or "0.3"
    token: str = ""
    scheme: str = ""
    credentials: str = ""
    sent: int = 0
    attempts: int = 0  # consecutive failures
    due: float = 0.0  # the next attempt is not made before this time
    dead: str = ""  # why it was given up; empty: it was not given up
    registrant: str = ""  # who registered it, as JSON; empty: it is not known
    unreadable: str = ""  # why the store cannot decrypt the URL, token and credentials, which are empty then


@dataclass(frozen=True, slots=True)
class DeadLetter:
    namespace: str
    agent: str  # empty where the sender did not name the agent
    reason: str
    received: float
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    data: bytes = b""
    code: int = -1  # the status of the last response; -1: there was none, or it is unknown
    destination: str = ""  # the URL of the last attempt. Hazard: it may hold a capability
    attempts: int = 0  # 0: unknown
    id: str = field(default="", compare=False)  # assigned by the store, which never assigns it again
    unreadable: str = ""  # why the store cannot decrypt the destination and the data, which are empty then


@dataclass(frozen=True, slots=True)
class Letters:
    """Selects dead letters, the newest first; None: any."""

    namespace: str | None = None
    agent: str | None = None  # empty: letters without an agent
    type: str | None = None
    received_from: float | None = None  # inclusive
    received_before: float | None = None  # exclusive
    after: str = ""  # the id of the last letter of the previous page
    limit: int = 100


class TaskStore(Protocol):
    shared: bool
    """Whether several processes may use the store at once. If not, no other holder of a task is alive."""

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        """Write the task together with `push`, durably. Raises StoreFullError, StoreError.

        If the same owner has used the `idempotency_key` for the same agent before, write nothing and return the id of
        the task that was created then (the record's own id, where the first attempt was written and its response was
        lost); else return None. Raises TaskConflictError if a task has the record's id.
        """
        ...

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        """Write the task's next version. False: an event with this key changed the task before; nothing is written.

        If all updates are artifacts or statuses and the task does not settle, `record.task` must be the previous task
        with these updates folded in: the store may keep the updates alone.

        Raises TaskConflictError if `record.version` is not the stored version plus one, and UnfitError for what no
        store can keep. After any other StoreError the change may have been written.
        """
        ...

    async def changed_by(self, task_id: str, key: Key) -> bool:
        """Return whether an event or request with this key changed the task."""
        ...

    async def get(self, task_id: str, *, known: TaskRecord | None = None) -> TaskRecord | None:
        """Return the task, or None. `known` is an earlier record of it: unchanged parts need not be read again.

        Raises SealedValueError.
        """
        ...

    async def changes(self, task_id: str, *, after: int = 0) -> list[TaskChange]:
        """Return the log after the given version, oldest entry first. Raises SealedValueError."""
        ...

    async def find(self, listing: TaskQuery) -> Page: ...

    async def unsettled(self, *, holders: Collection[str] | None = None) -> list[TaskRecord]:
        """Return the tasks that have not settled, of these holders only; None: of any holder."""
        ...

    async def held(self, holder: str) -> set[str]:
        """Return the ids of the unsettled tasks of this holder."""
        ...

    async def working(self, namespace: str, agent: str, owner: str, *, most: int) -> int:
        """Return how many unsettled tasks the owner has at the agent, counted up to `most`."""
        ...

    async def overdue(self, *, now: float, held_before: float) -> list[TaskRecord]:
        """Return unsettled tasks past their deadline: `now` without a holder, `held_before` with one.

        A holder ends its own tasks at their deadline; the other time is for a holder that does not.
        """
        ...

    async def prune(self, *, before: float, keep: int | None = None) -> int:
        """Delete tasks that ended before then, and the oldest ended ones beyond `keep`, with all their data."""
        ...

    async def beat(self, holder: str, *, seconds: float) -> None:
        """Record that this replica is alive for the next `seconds`, by the store's clock."""
        ...

    async def expired_replicas(self) -> list[str]:
        """Return the holders of unsettled tasks that have no valid sign of life."""
        ...

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        """Call `listener` with the id of each task that another replica may have changed.

        Notifications may be lost: `missed` is called whenever some may have been.
        """
        ...

    async def close(self) -> None: ...


class PushStore(Protocol):
    async def put_push(self, push: Push) -> None:
        """Write or replace the (task, id)'s configuration, but keep `sent`. Raises TaskConflictError: no such task."""
        ...

    async def pushes(self, task_id: str) -> list[Push]:
        """Return the task's configurations in the order in which they were first written."""
        ...

    async def drop_push(self, task_id: str, push_id: str) -> bool: ...

    async def claim_pushes(self, *, now: float, until: float, limit: int) -> list[Push]:
        """Return configurations that are due, live and behind their task; no other caller gets them before `until`."""
        ...

    async def settle_push(self, push: Push) -> None:
        """Write `sent`, `attempts`, `due` and `dead`, if the configuration still exists."""
        ...


class DeadLetterStore(Protocol):
    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        """Write a letter, durably. False: a letter with the same (namespace, agent, source, id) is stored already."""
        ...

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]: ...

    async def letter(self, letter_id: str) -> DeadLetter | None: ...

    async def free_letter(self, letter_id: str) -> bool:
        """Allow another letter with the same key: a redriven event may fail again before this letter is deleted."""
        ...

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        """Delete the letters and return how many of them existed."""
        ...

    async def prune_letters(self, *, before: float) -> int:
        """Delete the letters that were received before then, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class SharedUse:
    rests: Sequence[float]  # seconds until the bucket of each key is full again, in the order of the keys
    replicas: int  # that are alive


class RateStore(Protocol):
    """Rates that the replicas of a gateway share."""

    async def spend(self, used: Sequence[tuple[bytes, float]]) -> SharedUse:
        """Add what keys used, in seconds of their rates."""
        ...

    async def prune_rates(self) -> int:
        """Delete full buckets."""
        ...


class DeliveryStore(Protocol):
    """Records which events each agent received, so that no replica delivers them to it again."""

    async def record_delivery(self, *, namespace: str, agent: str, key: Key, now: float) -> bool:
        """Write the delivery, durably. False: it was recorded before."""
        ...

    async def deliveries(self, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
        """Return the latest deliveries since then, newest first, for a process that takes over an agent."""
        ...

    async def prune_deliveries(self, *, before: float) -> int: ...
