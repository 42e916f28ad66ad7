"""A database for coordination: functions of a SQLAlchemy connection run in it, each in a transaction of its own.

One set of statements serves every database: SQLAlchemy writes their dialects. A function (`Work`) may run more than
once, so it changes nothing but the database; what it announces with `Transaction.notify` is announced once, after the
commit, to the listeners of every replica.

Hazard: an announcement may be lost with a connection. Listeners are called for `missed` then, and read anew.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from lambdaagent.store.sealing import Sealing

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something changed: what kind of thing, and its id. An id has no spaces."""

    kind: str
    id: str


@dataclass(slots=True)
class Transaction:
    connection: Connection
    now: float  # seconds since the epoch, by the clock that all replicas share
    sealing: Sealing = field(default_factory=Sealing)
    notices: dict[Notice, None] = field(default_factory=dict)

    def notify(self, kind: str, id_: str) -> None:
        self.notices[Notice(kind, id_)] = None


Work = Callable[[Transaction], Found]


class Database(Protocol):
    async def run(self, work: Work[Found]) -> Found:
        """Run `work` in a transaction and return its result. An exception of `work` undoes what it wrote.

        Raises StoreError; UnfitError for values that the database never accepts.
        """
        ...

    async def read(self, work: Work[Found]) -> Found:
        """Run `work`, which writes nothing. Raises StoreError."""
        ...

    def now(self) -> float:
        """Return the time by the clock that all replicas share. It never jumps."""
        ...

    def on_notice(self, listener: Callable[[Notice], None], *, missed: Callable[[], None]) -> None:
        """Call `listener` after each announced change, of any replica; `missed` whenever some may have been lost."""
        ...

    async def close(self) -> None: ...


class Listeners:
    """The listeners of one replica."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Notice], None]] = []

    def add(self, listener: Callable[[Notice], None]) -> None:
        self._listeners.append(listener)

    def tell(self, notices: dict[Notice, None]) -> None:
        for notice in notices:
            for listener in self._listeners:
                listener(notice)
