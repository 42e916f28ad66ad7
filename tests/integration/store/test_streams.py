"""Long streams, when whoever writes them is killed, and beside a gateway of the version before."""

import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import orjson
import pytest
from tests.integration.store.streamer import SIDE_BY_SIDE
from tests.parts.postgres import Postgres
from tests.parts.store_chunks import chunk, ended, stream, streaming

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold_all, status_update
from lambdaagent.store.factory import open_store
from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.postgres.urls import DatabaseUrl
from lambdaagent.store.records import TaskQuery, TaskRecord

SIZE = 4 * 1024


def killed_at(database: str, lines: int) -> dict[str, int]:
    """Kills a process that streams, and returns the version of each task that it confirmed."""
    command = [sys.executable, "-m", "tests.integration.store.streamer", database]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as said:
        found = dict(said.readline().split() for _ in range(lines))
        process.kill()
        found |= dict(line.split() for line in said if line.endswith("\n"))
    process.wait()
    return {task_id: int(version) for task_id, version in found.items()}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_stream_whose_writer_is_killed_is_what_its_log_says(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = str(tmp_path / "t.db") if kind == "sqlite" else request.getfixturevalue("database_url")
    for lines in (300, 397):
        confirmed = killed_at(database, lines)
        assert len(confirmed) == SIDE_BY_SIDE
        store = (await open_store(database)).store
        for record in await store.unsettled():
            log = await store.changes(record.id)
            assert record.version == len(log) >= confirmed[record.id]
            updates = [update for change in log for update in change.updates]
            assert record.task == fold_all(streaming(record.id).task, updates)
            assert await store.get(record.id) == record
            await ended(store, record)
        assert await store.unsettled() == []
        assert await store.prune(before=1e9) == SIDE_BY_SIDE
        await store.close()


# What a gateway of schema v1_2 does, in its own words.
OLD_APPEND = """
WITH updated AS (
  UPDATE lambdaagent_tasks t SET version = $2, state = $3, settled = $4, updated = $5, body = $6, holder = $7
  WHERE t.id = $1 AND t.version = $2 - 1 RETURNING t.id
)
INSERT INTO lambdaagent_changes (task_id, version, source, event_id, updates) SELECT id, $2, NULL, NULL, $8 FROM updated
RETURNING task_id"""
OLD_GET = "SELECT version, body FROM lambdaagent_tasks WHERE id = $1"
OLD_BEAT = """
INSERT INTO lambdaagent_replicas (holder, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (holder) DO UPDATE SET until = excluded.until"""


class Old:
    """A gateway of the previous version."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def beat(self, *, seconds: float) -> None:
        await self.connection.execute(OLD_BEAT, "old", seconds)

    async def parts(self, task_id: str) -> int:
        """Returns the number of parts that the task shows."""
        _, body = await self.connection.fetchrow(OLD_GET, task_id)
        return len(orjson.loads(body)["artifacts"][0]["parts"])

    async def add(self, task_id: str, update: dict[str, object], *, state: TaskState = TaskState.WORKING) -> bool:
        """Reads the record, folds the update into it and writes it."""
        return await self.add_to(await self.connection.fetchrow(OLD_GET, task_id), task_id, update, state=state)

    async def add_to(
        self, read: tuple[int, bytes], task_id: str, update: dict[str, object], *, state: TaskState = TaskState.WORKING
    ) -> bool:
        version, body = read
        task = orjson.dumps(fold_all(orjson.loads(body), [update]))
        settled, entry = 2 if state.terminal else 0, orjson.dumps([update])
        row = (task_id, version + 1, str(state), settled, 9.0, task, "one", entry)
        return bool(await self.connection.fetch(OLD_APPEND, *row))


@pytest.fixture
async def new(database_url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(database_url)
    yield store
    await store.close()


@pytest.fixture
async def old(database_url: str) -> AsyncIterator[Old]:
    connection = await asyncpg.connect(database_url)
    yield Old(connection)
    await connection.close()


async def require(store: PostgresStore, task_id: str = "t") -> TaskRecord:
    """Asserts that the task is the fold of its log, without repetitions and without loss."""
    found = await store.get(task_id)
    assert found is not None
    log = await store.changes(task_id)
    assert [change.version for change in log] == list(range(1, found.version + 1))
    assert found.task == fold_all(streaming(task_id).task, [each for change in log for each in change.updates])
    return found


async def test_a_task_that_both_versions_write_is_read_right_by_the_new_one(new: PostgresStore, old: Old) -> None:
    """In turn, onto what the other one left whole: nothing tells the new one but the row."""
    await new.create(streaming())
    await new.beat("new", seconds=600)
    before = await stream(new, streaming(), chunks=30, size=SIZE)
    for chunks in (1, 2, 1, 3):
        # A change that is no chunk is written whole.
        before = replace(before, version=before.version + 1, deadline=before.deadline + 1)
        assert await new.append(before, updates=[])
        assert await old.add("t", chunk(100))
        assert await old.add("t", chunk(101))
        before = await stream(new, await require(new), chunks=chunks, size=SIZE)
        assert await require(new) == before


async def test_onto_an_older_snapshot_the_version_before_cannot_write(new: PostgresStore, old: Old) -> None:
    await new.create(streaming())
    await new.beat("new", seconds=600)
    before = await stream(new, streaming(), chunks=30, size=SIZE)
    assert await old.parts("t") < 30
    for update, state in (
        (chunk(100), TaskState.WORKING),
        (status_update(TaskState.CANCELED, now=1), TaskState.CANCELED),
    ):
        with pytest.raises(asyncpg.CheckViolationError, match="body_noted"):
            await old.add("t", update, state=state)
    assert await require(new) == before
    last = await ended(new, before)
    assert await old.parts("t") == 30
    assert await require(new) == last


async def test_while_one_of_the_version_before_lives_it_sees_and_writes_whole_tasks(
    new: PostgresStore, old: Old
) -> None:
    await new.create(streaming())
    # Nobody has said yet who lives.
    before = await stream(new, streaming(), chunks=30, size=SIZE)
    assert await old.parts("t") == 30
    await new.beat("new", seconds=600)
    before = await stream(new, before, chunks=10, size=SIZE)
    assert await old.parts("t") < 40
    # One comes, as after a rollback: what is there is made whole, and stays so.
    await old.beat(seconds=600)
    read = await old.connection.fetchrow(OLD_GET, "t")
    await new.beat("new", seconds=600)
    assert await old.parts("t") == 40
    # What it read before was not all.
    assert not await old.add_to(read, "t", chunk(99))
    before = await stream(new, await require(new), chunks=10, size=SIZE)
    assert await old.parts("t") == 50
    assert await old.add("t", chunk(100))
    before = await stream(new, await require(new), chunks=10, size=SIZE)
    assert await require(new) == before
    assert await old.parts("t") == 61
    # It goes again.
    await old.beat(seconds=0)
    await new.beat("new", seconds=600)
    before = await stream(new, before, chunks=10, size=SIZE)
    assert await old.parts("t") < 71
    assert await require(new) == before


async def test_where_nobody_lives_that_knows_better_the_version_before_can_end_a_task(
    new: PostgresStore, old: Old
) -> None:
    """All gateways of this version were killed, and the version before was started again."""
    await new.create(streaming())
    await new.beat("new", seconds=600)
    before = await stream(new, streaming(), chunks=30, size=SIZE)
    await new.beat("new", seconds=0)
    await old.beat(seconds=600)
    seen = await old.parts("t")
    assert seen < 30
    assert await old.add("t", chunk(100))
    assert await old.add("t", status_update(TaskState.FAILED, now=1), state=TaskState.FAILED)
    found = await new.get("t")
    assert found is not None
    # What it saw of it, once; the log has all.
    assert (found.state, found.version) == (TaskState.FAILED, before.version + 2)
    assert len(found.task["artifacts"][0]["parts"]) == seen + 1
    assert len(await new.changes("t")) == 32
    assert found in (await new.find(TaskQuery("shop", "cart", "anonymous"))).records


async def test_tasks_of_the_schema_before_are_there_and_grow(postgres: Postgres) -> None:
    name = postgres.database()
    url = postgres.url(name)
    await migrating.migrate(DatabaseUrl(url), to="v1_2")
    connection = await asyncpg.connect(url)
    task = fold_all(streaming().task, [chunk(n, size=SIZE) for n in range(10)])
    await connection.execute(
        "INSERT INTO lambdaagent_tasks VALUES ('t', 'c', 'shop', 'cart', NULL, 'anonymous', 10, 'TASK_STATE_WORKING', "
        "0, 1, 1, $1, 'one', 0, '', NULL)",
        orjson.dumps(task),
    )
    assert await migrating.migrate(DatabaseUrl(url)) == [
        "v1_3",
        "v1_4",
        "v1_5",
        "v1_6",
        "v1_7",
        "v1_8",
        "v1_9",
        "v1_10",
    ]
    assert await Old(connection).add("t", chunk(10, size=SIZE))
    store = await PostgresStore.open(url)
    await store.beat("new", seconds=600)
    before = await store.get("t")
    assert before is not None
    assert before.task == fold_all(task, [chunk(10, size=SIZE)])
    before = await stream(store, before, chunks=20, size=SIZE)
    assert await store.get("t") == before
    await store.close()
    await connection.close()


async def test_whoever_knows_a_task_is_sent_what_is_new_of_it(
    new: PostgresStore, postgres: Postgres, database_url: str
) -> None:
    await new.create(streaming())
    await new.beat("new", seconds=600)
    known = await stream(new, streaming(), chunks=30, size=SIZE)
    newest = await stream(new, known, chunks=2, size=10)
    # Whoever read it now would fail.
    postgres.execute("UPDATE lambdaagent_tasks SET body = 'no JSON'", database=database_url.rpartition("/")[2])
    assert await new.get("t", known=known) == newest
    assert await new.get("t", known=newest) == newest
    with pytest.raises(orjson.JSONDecodeError):
        await new.get("t")
