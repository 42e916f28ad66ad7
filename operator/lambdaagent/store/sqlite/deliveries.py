"""Deliveries of events in SQLite. All functions that write run in the single writing thread."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.dialects import sqlite

from lambdaagent.store import rows
from lambdaagent.store.group_commit import MarkDelivered
from lambdaagent.store.records import Key
from lambdaagent.store.sqlite.schema import deliveries

_INSERT = str(insert(deliveries).compile(dialect=sqlite.dialect()))


class DeliveryBatch:
    """The deliveries of one transaction: known ones are read first, new ones are written by one statement."""

    def __init__(self, connection: Connection, ops: Sequence[MarkDelivered]) -> None:
        self._connection = connection
        self._rows = {id(op): rows.delivery_row(op.namespace, op.agent, op.key, op.now) for op in ops}
        self._known: set[bytes] = set()
        if self._rows:
            digests = [row[0] for row in self._rows.values()]
            known = select(deliveries.c.digest).where(deliveries.c.digest.in_(digests))
            self._known.update(connection.execute(known).scalars())
        self._new: list[tuple[bytes, str, str, bytes, float]] = []

    def add(self, op: MarkDelivered) -> bool:
        row = self._rows[id(op)]
        if row[0] in self._known:
            return False
        self._known.add(row[0])
        self._new.append(row)
        return True

    def write(self) -> None:
        if self._new:
            self._connection.exec_driver_sql(_INSERT, self._new)


def newest(connection: Connection, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
    wanted = select(deliveries.c.key).where(
        deliveries.c.namespace == namespace, deliveries.c.agent == agent, deliveries.c.at >= since
    )
    found = connection.execute(wanted.order_by(deliveries.c.at.desc()).limit(limit))
    return [rows.delivery_key(key) for (key,) in found]


def prune(connection: Connection, before: float) -> int:
    return connection.execute(delete(deliveries).where(deliveries.c.at < before)).rowcount
