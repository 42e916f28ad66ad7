"""Writes batches of creations and of changes, and returns the outcome of each operation.

Rows are sorted by id, so that replicas that write the same tasks wait for each other and do not deadlock. If a task
occurs twice in a batch of changes, they are written by two statements, in the order of arrival.
"""

from collections.abc import Sequence

from lambdaagent.store import rows
from lambdaagent.store.errors import StoreError, TaskConflictError
from lambdaagent.store.group_commit import Append, Create, MarkDelivered
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.pool import PostgresConnection, PostgresPool
from lambdaagent.store.postgres.texts import text
from lambdaagent.store.records import DeadLetter, TaskRecord
from lambdaagent.store.sealing import Sealing, tenant


class Writing:
    def __init__(self, pool: PostgresPool, *, sender: str, sealing: Sealing) -> None:
        """`sender` precedes the task's id in each notification, so that a replica can ignore its own."""
        self._pool = pool
        self._sealing = sealing
        self._sender = sender

    async def create(self, ops: Sequence[Create]) -> list[str | StoreError | None]:
        """Return for each operation None, or the id of the task that was created for the same request before."""
        made = [rows.task_row(op.record, op.idempotency_key, op.body) for op in ops]
        columns = [
            [text(value) for value in column] for column in zip(*sorted(made, key=lambda row: str(row[0])), strict=True)
        ]

        pushed = {
            op.record.id: rows.push_row(op.push, tenant=tenant(op.record), sealing=self._sealing)
            for op in ops
            if op.push is not None
        }

        async def insert(connection: PostgresConnection) -> set[str]:
            if not pushed:
                return {row[0] for row in await connection.fetch(sql.CREATE, *columns)}
            async with connection.transaction():
                new = {row[0] for row in await connection.fetch(sql.CREATE, *columns)}
                pushes = [tuple(map(text, row)) for task_id, row in pushed.items() if task_id in new]
                await connection.executemany(sql.PUT_PUSH, pushes)
            return new

        async def write(connection: PostgresConnection) -> dict[str, str] | None:
            new = await insert(connection)
            if len(new) == len(ops):
                return None
            asked = [op for op in ops if op.record.id not in new and op.idempotency_key is not None]
            given = [
                tuple(
                    map(text, (op.record.id, op.record.namespace, op.record.agent, op.record.owner, op.idempotency_key))
                )
                for op in asked
            ]
            found = await connection.fetch(sql.WHO_HAS_ONCE, *zip(*given, strict=True)) if given else []
            return {id_: id_ for id_ in new} | {row[0]: row[1] for row in found}

        known = await self._pool.run(write)
        if known is None:
            return [None] * len(ops)
        outcomes: list[str | StoreError | None] = []
        for op in ops:
            first = known.pop(op.record.id, None)
            taken = TaskConflictError(f"task {op.record.id} exists already")
            outcomes.append(taken if first is None else None if first == op.record.id else first)
        return outcomes

    async def append(self, ops: Sequence[Append]) -> list[bool | StoreError]:
        outcomes: dict[int, bool | StoreError] = {}
        left = list(enumerate(ops))
        while left:
            now: dict[str, tuple[int, Append]] = {}
            later = []
            for place, op in left:
                if now.setdefault(op.record.id, (place, op))[0] != place:
                    later.append((place, op))
            outcomes |= await self._append(list(now.values()))
            left = later
        return [outcomes[place] for place in range(len(ops))]

    async def _append(self, ops: Sequence[tuple[int, Append]]) -> dict[int, bool | StoreError]:
        made = sorted((_appended(op) for _, op in ops), key=lambda row: str(row[0]))
        columns = [[text(value) for value in column] for column in zip(*made, strict=True)]

        async def write(connection: PostgresConnection) -> dict[str, bool | StoreError]:
            found: dict[str, bool | StoreError] = {
                row[0]: True for row in await connection.fetch(sql.APPEND, *columns, self._sender)
            }
            missed = [op for _, op in ops if op.record.id not in found]
            if missed:
                asked = [(op.record.id, *(map(text, op.key) if op.key else (None, None))) for op in missed]
                why = {row[0]: row for row in await connection.fetch(sql.WHY_NOT, *zip(*asked, strict=True))}
                found |= {op.record.id: _missed(op.record, *why[op.record.id][1:]) for op in missed}
            return found

        written = await self._pool.run(write)
        return {place: written[op.record.id] for place, op in ops}

    async def deliver(self, ops: Sequence[MarkDelivered]) -> list[bool]:
        made = [rows.delivery_row(op.namespace, op.agent, op.key, op.now) for op in ops]
        columns = list(zip(*sorted(made), strict=True))
        new = {row[0] for row in await self._pool.run(lambda connection: connection.fetch(sql.DELIVERED, *columns))}
        outcomes = []
        for digest, *_ in made:
            outcomes.append(digest in new)
            new.discard(digest)  # of two equal ones in a batch, the first recorded it
        return outcomes

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        columns = [[text(value)] for value in rows.letter_row(letter, sealing=self._sealing)]
        return bool(await self._pool.run(lambda connection: connection.fetch(sql.BURY, *columns)))


def _appended(op: Append) -> tuple[object, ...]:
    """Return a row in the order of sql.APPENDED."""
    source, event_id = op.key or (None, None)
    return (op.record.id, *rows.changing(op.record, op.body), source, event_id, op.updates)


def _missed(record: TaskRecord, version: int | None, duplicate: bool) -> bool | StoreError:
    if version is None:
        return TaskConflictError(f"task {record.id} no longer exists")
    if duplicate:
        return False
    return TaskConflictError(f"task {record.id} is at version {version}, not {record.version - 1}")
