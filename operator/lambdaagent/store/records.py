"""What a store keeps, and the protocol that every store meets (`tests/unit/store/test_contract.py`).

A task is created before its container is called, and each change is stored before anybody is told of it, so that what
a client has seen survives. Each change has its entry in the task's log. The snapshot is written with it, but for large
tasks that grow by chunks: there it may be older, and a store folds the log's entries after it onto it before anybody is
given the record (`snapshots`). Records are never changed in place.
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
"""Time of the last change and id of a task: where a page of a list ended."""
PAGE_BYTES = 32 * 1024 * 1024
"""A page is cut behind the task with which the snapshots read for it reach this."""
COUNTED = 10_000
"""Tasks of a list are counted up to here: a million would be read for a number that nobody pages to."""


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
    holder: str = ""  # the replica that works on it; empty: an event is awaited, or the client
    deadline: float = 0.0  # a task that has not settled by then has failed
    remote: str = ""  # the task's id at a container that is an A2A server itself


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One entry of a task's log."""

    version: int
    updates: Sequence[Json]


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks of one agent and owner, newest change first."""

    namespace: str
    agent: str
    owner: str
    context_id: str | None = None
    state: TaskState | None = None
    updated_from: float | None = None  # including
    after: Cursor | None = None  # tasks that come after this one in the order (updated descending, id descending)
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    records: Sequence[TaskRecord]
    total: int  # of all pages, counted up to COUNTED
    more: bool


@dataclass(frozen=True, slots=True)
class Push:
    """Where a task's changes are posted to, and how far that has got.

    The task's log is the outbox: `sent` is the version up to which everything has arrived.
    """

    task_id: str
    id: str
    url: str
    wire: str  # the protocol version that the receiver understands, "1.0" or "0.3"
    token: str = ""
    scheme: str = ""
    credentials: str = ""
    sent: int = 0
    attempts: int = 0  # failed ones in a row
    due: float = 0.0  # not before then
    dead: str = ""  # why it was given up; empty: it was not


@dataclass(frozen=True, slots=True)
class DeadLetter:
    namespace: str
    agent: str  # empty where the sender did not say whose it was
    reason: str
    received: float
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    data: bytes = b""
    code: int = -1  # of the last answer; -1: there was none, or nobody said
    destination: str = ""  # where it was sent to. Hazard: the URL may hold a capability
    attempts: int = 0  # 0: nobody said
    id: str = field(default="", compare=False)  # given by the store, which gives it to no other one ever


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters, the newest first; None: any."""

    namespace: str | None = None
    agent: str | None = None  # empty: those whose agent nobody named
    type: str | None = None
    received_from: float | None = None  # including
    received_before: float | None = None  # excluding
    after: str = ""  # the id of the last one of the page before
    limit: int = 100


class TaskStore(Protocol):
    shared: bool
    """Whether several processes may use it at once. If not, every other holder of a task is dead."""

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        """Writes the task, and `push` with it, or neither. Durable when it returns. Raises StoreFullError, StoreError.

        If the same owner gave the `idempotency_key` for the same agent before, nothing is written and the id of the
        task that was created then is returned (the record's own id, where the first attempt was written and its answer
        was lost); else None. Raises TaskConflictError where a task has the record's id.
        """
        ...

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        """The task's next version. False: an event of this key changed the task before; nothing is written.

        Where all updates are of artifacts or of the status and the task does not settle, `record.task` must be the
        former one with these updates folded in: the store may keep the updates alone.

        Raises TaskConflictError where `record.version` is not the stored version plus one; UnfitError for what no store
        could keep. After any other StoreError the change may have been written all the same.
        """
        ...

    async def changed_by(self, task_id: str, key: Key) -> bool:
        """Whether an event or request of this key changed the task."""
        ...

    async def get(self, task_id: str, *, known: TaskRecord | None = None) -> TaskRecord | None:
        """`known` is what the store had at some time: what did not change since need not be read again."""
        ...

    async def changes(self, task_id: str, *, after: int = 0) -> list[TaskChange]:
        """The log, oldest first, from the version after the given one."""
        ...

    async def find(self, listing: TaskQuery) -> Page: ...

    async def unsettled(self, *, holders: Collection[str] | None = None) -> list[TaskRecord]:
        """Tasks that something was still working on, of these holders only; None: of any."""
        ...

    async def held(self, holder: str) -> set[str]:
        """The ids of the unsettled tasks of this holder."""
        ...

    async def overdue(self, *, now: float, held_before: float) -> list[TaskRecord]:
        """Unsettled tasks without a holder whose deadline is before `now`, and held ones whose is before `held_before`.

        A holder ends its tasks at their deadline by itself; the later time is for one that does not.
        """
        ...

    async def prune(self, *, before: float, keep: int | None = None) -> int:
        """Forgets tasks that ended before then, and the oldest ended ones beyond `keep`, with all that is theirs."""
        ...

    async def beat(self, holder: str, *, seconds: float) -> None:
        """This replica is alive for so long, by the store's clock."""
        ...

    async def expired_replicas(self) -> list[str]:
        """Holders of unsettled tasks who did not say that they live now."""
        ...

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        """`listener` is called with the id of a task that another replica may have changed.

        Notifications may be lost: `missed` is called whenever some may have been.
        """
        ...

    async def close(self) -> None: ...


class PushStore(Protocol):
    async def put_push(self, push: Push) -> None:
        """Replaces one of the same (task, id), but for how far it has got. Raises TaskConflictError: no such task."""
        ...

    async def pushes(self, task_id: str) -> list[Push]:
        """In the order in which they were first put."""
        ...

    async def drop_push(self, task_id: str, push_id: str) -> bool: ...

    async def claim_pushes(self, *, now: float, until: float, limit: int) -> list[Push]:
        """Living ones that are due and behind their task's version; nobody else gets them before `until`."""
        ...

    async def settle_push(self, push: Push) -> None:
        """Writes `sent`, `attempts`, `due` and `dead`, if it is still there."""
        ...


class DeadLetterStore(Protocol):
    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        """Durable when it returns. False: a letter of the same (namespace, agent, source, id) lies here already."""
        ...

    async def letters(self, namespace: str, *, limit: int = 100) -> list[DeadLetter]:
        """The newest first."""
        ...

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]: ...

    async def letter(self, letter_id: str) -> DeadLetter | None: ...

    async def free_letter(self, letter_id: str) -> bool:
        """Another one of the same key may be buried beside it: what is redriven may die before this one is dropped."""
        ...

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        """How many of them were there."""
        ...


class DeliveryStore(Protocol):
    """Which events each agent was given: an event that was is not given to it again, whichever replica meets it."""

    async def record_delivery(self, *, namespace: str, agent: str, key: Key, now: float) -> bool:
        """Durable when it returns. False: it was recorded before."""
        ...

    async def deliveries(self, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
        """The newest ones recorded since then, newest first: what a process that takes an agent over must know."""
        ...

    async def prune_deliveries(self, *, before: float) -> int: ...
