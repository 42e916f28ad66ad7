"""Tasks, push configurations and dead letters in PostgreSQL, shared by any number of replicas.

Creations and changes are written in batches, each by one statement (`writing`). asyncpg is used directly: at the rates
of the hot path SQLAlchemy's asynchronous layer would cost more than the server's work. Nothing is cached here, because
other replicas write too.
"""

import contextlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import asyncpg

from lambdaagent.a2a import Json
from lambdaagent.store import rows
from lambdaagent.store.errors import SealedValueError, StoreError, TaskConflictError
from lambdaagent.store.group_commit import Append, Create, GroupCommit, MarkDelivered, size_of, submit_append
from lambdaagent.store.postgres import sql
from lambdaagent.store.postgres.database import PostgresDatabase
from lambdaagent.store.postgres.finding import find, found_of, record_of
from lambdaagent.store.postgres.listening import Listening
from lambdaagent.store.postgres.pool import PostgresConnection, PostgresPool
from lambdaagent.store.postgres.texts import text
from lambdaagent.store.postgres.urls import DatabaseUrl
from lambdaagent.store.postgres.writing import Writing
from lambdaagent.store.records import DeadLetter, Key, Letters, Page, Push, SharedUse, TaskChange, TaskQuery, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.snapshots import Snapshots
from lambdaagent.trust import SYSTEM, Trust


class PostgresStore:
    """Open with `await PostgresStore.open(url)`. A database that is unreachable or not migrated yet is no error."""

    shared = True

    def __init__(self, pool: PostgresPool, *, sealing: Sealing | None = None) -> None:
        sender = secrets.token_hex(8)
        self._pool = pool
        self._sender = sender
        self._sealing = sealing = sealing or Sealing()
        # A separate connection: a sign of life must not queue behind the requests of clients.
        self._signs = PostgresPool(pool.url, size=1)
        self._writing = Writing(pool, sender=sender, sealing=sealing)
        self._creating: GroupCommit[Create, str | None] = GroupCommit(self._writing.create, size=size_of)
        self._appending: GroupCommit[Append, bool] = GroupCommit(self._writing.append, size=size_of)
        self._delivering: GroupCommit[MarkDelivered, bool] = GroupCommit(self._writing.deliver)
        self._listening = Listening(pool, sender=sender)
        # Not allowed until the first beat has found which other gateways are alive.
        self._snapshots = Snapshots(allowed=False)

    @classmethod
    async def open(cls, url: str, trust: Trust = SYSTEM, *, sealing: Sealing | None = None) -> "PostgresStore":
        """Raises UsageError if `url` is not the URL of a PostgreSQL."""
        store = cls(PostgresPool(DatabaseUrl(url, trust)), sealing=sealing)
        await store.look()
        return store

    def coordination(self) -> PostgresDatabase:
        """Return the database for coordination. Close it before the store."""
        return PostgresDatabase(self._pool, sender=self._sender, sealing=self._sealing)

    @property
    def problem(self) -> str | None:
        """Why the store could not be used so far; None since the first time that it could."""
        return self._pool.problem

    async def look(self) -> None:
        await self._pool.look()

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        op = Create.of(record, idempotency_key=idempotency_key, push=push, sealing=self._sealing)
        return await self._creating.submit(op)

    async def append(self, record: TaskRecord, *, updates: Sequence[Json], key: Key | None = None) -> bool:
        op = Append.of(record, updates=updates, key=key, snapshots=self._snapshots, sealing=self._sealing)
        return await submit_append(self._appending, op, self._snapshots)

    async def changed_by(self, task_id: str, key: Key) -> bool:
        return bool(await self._fetch(sql.CHANGED_BY, task_id, *key))

    async def get(self, task_id: str, *, known: TaskRecord | None = None) -> TaskRecord | None:
        version = known.version if known is not None else -1
        row = await self._pool.run(lambda connection: connection.fetchrow(sql.GET, text(task_id), version))
        return record_of(row, sealing=self._sealing, known=known) if row is not None else None

    async def changes(self, task_id: str, *, after: int = 0) -> list[TaskChange]:
        found = await self._fetch(sql.LOG, task_id, after)
        return [rows.change_of(row, task_id=task_id, sealing=self._sealing) for row in found]

    async def find(self, listing: TaskQuery) -> Page:
        return await self._pool.run(lambda connection: find(connection, listing, sealing=self._sealing))

    async def unsettled(self, *, holders: Collection[str] | None = None) -> list[TaskRecord]:
        if holders is None:
            found = await self._fetch(sql.UNSETTLED)
        else:
            found = await self._fetch(sql.UNSETTLED_OF, list(holders))
        return [found_of(row, sealing=self._sealing) for row in found]

    async def held(self, holder: str) -> set[str]:
        return {str(row[0]) for row in await self._fetch(sql.HELD, holder)}

    async def working(self, namespace: str, agent: str, owner: str, *, most: int) -> int:
        [(found,)] = await self._fetch(sql.WORKING_OF, namespace, agent, owner, most)
        return int(found)

    async def overdue(self, *, now: float, held_before: float) -> list[TaskRecord]:
        found = await self._fetch(sql.OVERDUE, now, held_before)
        return [found_of(row, sealing=self._sealing) for row in found]

    async def prune(self, *, before: float, keep: int | None = None) -> int:
        gone = await self._prune(sql.PRUNE_BEFORE, before)
        if keep is not None and (too_many := await self._fetch(sql.FIRST_TOO_MANY, keep)):
            gone += await self._prune(sql.PRUNE_UP_TO, *too_many[0])
        await self._fetch(sql.FORGET_REPLICAS)
        return gone

    async def _prune(self, statement: str, *arguments: object) -> int:
        gone = 0
        while True:
            batch = len(await self._fetch(statement, *arguments))
            gone += batch
            if batch < sql.PRUNED_AT_ONCE:
                return gone

    async def beat(self, holder: str, *, seconds: float) -> None:
        # A late sign of life is worth nothing, and the next one may succeed.
        within = max(1.0, seconds / 4)

        async def beat(connection: PostgresConnection) -> list[asyncpg.Record]:
            found: list[asyncpg.Record] = await connection.fetch(sql.BEAT, text(holder), seconds)
            return found

        try:
            [(all_fold,)] = await self._signs.run(beat, within=within)
        except StoreError:
            # The server may have no connection left for it, and the pool may have some.
            [(all_fold,)] = await self._pool.run(beat, within=within)
        self._snapshots.allowed = all_fold
        if not all_fold:
            await self._make_whole()

    async def _make_whole(self) -> None:
        """Write the snapshots of unsettled tasks, because a gateway of the previous version is alive.

        It takes a snapshot for the whole task, and cannot append to an older one. Each snapshot is a version of its
        own, so that a write based on what that gateway read before conflicts.
        """
        for (task_id,) in await self._fetch(sql.BEHIND):
            # Another replica wrote a version, with its snapshot; or nobody can read the task, that gateway neither.
            with contextlib.suppress(TaskConflictError, SealedValueError):
                record = await self.get(task_id)
                if record is not None and not record.state.settled:
                    await self.append(replace(record, version=record.version + 1), updates=[])

    async def expired_replicas(self) -> list[str]:
        return [str(row[0]) for row in await self._fetch(sql.DEAD)]

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        self._listening.add(listener, missed)

    async def put_push(self, push: Push) -> None:
        async def put(connection: PostgresConnection) -> None:
            found = await connection.fetchrow(sql.TENANT_OF, text(push.task_id))
            if found is None:
                raise TaskConflictError(f"task {push.task_id} no longer exists")
            namespace, agent, owner = found
            row = rows.push_row(push, tenant=(namespace, agent, owner), sealing=self._sealing)
            try:
                await connection.execute(sql.PUT_PUSH, *map(text, row))
            except asyncpg.ForeignKeyViolationError:
                raise TaskConflictError(f"task {push.task_id} no longer exists") from None

        await self._pool.run(put)

    async def pushes(self, task_id: str) -> list[Push]:
        return [rows.push_of(row, sealing=self._sealing) for row in await self._fetch(sql.PUSHES_OF, task_id)]

    async def drop_push(self, task_id: str, push_id: str) -> bool:
        return bool(await self._fetch(sql.DROP_PUSH, task_id, push_id))

    async def claim_pushes(self, *, now: float, until: float, limit: int) -> list[Push]:
        found = await self._fetch(sql.CLAIM, now, until, limit)
        return [rows.push_of(row, sealing=self._sealing) for row in found]

    async def settle_push(self, push: Push) -> None:
        await self._fetch(sql.SETTLE_PUSH, push.task_id, push.id, push.sent, push.attempts, push.due, push.dead)

    async def add_dead_letter(self, letter: DeadLetter) -> bool:
        return await self._writing.add_dead_letter(letter)

    async def find_letters(self, wanted: Letters) -> list[DeadLetter]:
        place = (rows.letter_number(wanted.after) or 0) if wanted.after else None
        times = (wanted.received_from, wanted.received_before)
        which = (wanted.namespace, wanted.agent, rows.letter_type(wanted), *times, place, wanted.limit)
        found = await self._fetch(sql.FIND_LETTERS, *which)
        return [rows.letter_of(row, sealing=self._sealing) for row in found]

    async def letter(self, letter_id: str) -> DeadLetter | None:
        number = rows.letter_number(letter_id)
        found = await self._fetch(sql.LETTER, number) if number is not None else []
        return rows.letter_of(found[0], sealing=self._sealing) if found else None

    async def free_letter(self, letter_id: str) -> bool:
        number = rows.letter_number(letter_id)
        return bool(await self._fetch(sql.FREE_LETTER, number)) if number is not None else False

    async def drop_letters(self, letter_ids: Collection[str]) -> int:
        numbers = [number for each in letter_ids if (number := rows.letter_number(each)) is not None]
        return len(await self._fetch(sql.DROP_LETTERS, numbers))

    async def prune_letters(self, *, before: float) -> int:
        return await self._prune(sql.PRUNE_LETTERS, before)

    async def spend(self, used: Sequence[tuple[bytes, float]]) -> SharedUse:
        found = await self._fetch(sql.SPEND, [key for key, _ in used], [seconds for _, seconds in used])
        rests = {bytes(key): float(rest) for key, rest, _ in found}
        return SharedUse([rests[key] for key, _ in used], replicas=int(found[0][2]) if found else 0)

    async def prune_rates(self) -> int:
        return await self._prune(sql.PRUNE_RATES)

    async def record_delivery(self, *, namespace: str, agent: str, key: Key, now: float) -> bool:
        return await self._delivering.submit(MarkDelivered(namespace, agent, key, now))

    async def deliveries(self, namespace: str, agent: str, *, since: float, limit: int) -> list[Key]:
        found = await self._fetch(sql.NEWEST_DELIVERIES, namespace, agent, since, limit)
        return [rows.delivery_key(row[0]) for row in found]

    async def prune_deliveries(self, *, before: float) -> int:
        return await self._prune(sql.PRUNE_DELIVERIES, before)

    async def close(self) -> None:
        await self._listening.close()
        await self._creating.close()
        await self._appending.close()
        await self._delivering.close()
        await self._signs.close()
        await self._pool.close()

    async def _fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        return await self._pool.run(lambda connection: connection.fetch(statement, *map(text, arguments)))
