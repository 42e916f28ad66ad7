"""What only a file does: it survives, it is opened once, and it says what is wrong with it."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.parts.store_chunks import stream, streaming
from tests.parts.store_records import letter, push, record

from lambdaagent.store.errors import StoreError, StoreUnusableError
from lambdaagent.store.group_commit import GroupCommit
from lambdaagent.store.records import Letters, TaskQuery
from lambdaagent.store.sqlite.dead_letters import SqliteLetters
from lambdaagent.store.sqlite.store import SqliteStore

WRITER = """
    import asyncio, sys
    from pathlib import Path
    from lambdaagent.a2a.states import TaskState
    from lambdaagent.store.records import TaskRecord
    from lambdaagent.store.sqlite.store import SqliteStore

    async def write(store, n):
        record = TaskRecord(f"t{n}", "c", "shop", "cart", None, "a", 0, TaskState.WORKING, 1.0, 1.0, {"n": n})
        await store.create(record)
        print(n, flush=True)

    async def main():
        store = await SqliteStore.open(Path(sys.argv[1]))
        n = 0
        while True:
            await asyncio.gather(*(write(store, n + k) for k in range(20)))
            n += 20

    asyncio.run(main())
"""


async def test_what_was_confirmed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    confirmed = [int(process.stdout.readline()) for _ in range(500)]
    process.kill()
    confirmed += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    process.stdout.close()
    process.wait()
    store = await SqliteStore.open(path)
    running = {each.id for each in await store.unsettled()}
    await store.close()
    assert {f"t{n}" for n in confirmed} <= running


async def test_a_second_opener_is_told_which_file_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path, durable=True)
    with pytest.raises(StoreUnusableError, match=r"tasks\.db is in use"):
        await SqliteStore.open(path)
    await store.close()
    again = await SqliteStore.open(path)
    await again.close()


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnusableError, match=r"tasks\.db is not a database"):
        await SqliteStore.open(path)
    with pytest.raises(StoreUnusableError, match="cannot be opened"):
        await SqliteStore.open(tmp_path / "missing" / "tasks.db")


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreUnusableError, match="newer version"):
        await SqliteStore.open(path)


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.create(record())
    await store.add_dead_letter(letter())
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.create(record("late"))
    store = await SqliteStore.open(path)
    assert await store.get("t") == record()
    assert await store.letters("shop") == [letter()]
    await store.close()


async def test_a_caller_that_gives_up_does_not_take_its_write_back(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    task = asyncio.create_task(store.create(record()))
    await asyncio.sleep(0)
    task.cancel()
    await store.close()
    store = await SqliteStore.open(tmp_path / "tasks.db")
    assert await store.get("t") == record()
    await store.close()


async def test_a_batch_that_fails_tells_each_of_its_callers_and_the_next_one_is_written() -> None:
    seen: list[int] = []

    async def write(ops: object) -> list[bool | StoreError]:
        assert isinstance(ops, list)
        if 1 in ops:
            raise StoreError("disk full")
        seen.extend(ops)
        return [True] * len(ops)

    group: GroupCommit[int] = GroupCommit(write)
    outcomes = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    assert await group.submit(3)
    await group.close()
    assert seen == [3]


async def test_large_writes_are_written_in_several_batches() -> None:
    batches: list[int] = []

    async def write(ops: object) -> list[bool | StoreError]:
        assert isinstance(ops, list)
        batches.append(len(ops))
        await asyncio.sleep(0)
        return [True] * len(ops)

    group: GroupCommit[int] = GroupCommit(write, size=lambda op: op * 2**20)
    await asyncio.gather(*(group.submit(size) for size in (1, 10, 10, 10, 40, 1, 1)))
    await group.close()
    assert batches == [3, 2, 2]


async def test_what_waits_is_written_together() -> None:
    batches: list[int] = []

    async def write(ops: object) -> list[bool | StoreError]:
        assert isinstance(ops, list)
        batches.append(len(ops))
        await asyncio.sleep(0)
        return [True] * len(ops)

    group: GroupCommit[int] = GroupCommit(write, batch=50)
    await asyncio.gather(*(group.submit(n) for n in range(101)))
    await group.close()
    assert max(batches) == 50
    assert sum(batches) == 101
    assert len(batches) <= 4


async def test_a_store_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    connection = sqlite3.connect(tmp_path / "tasks.db")
    connection.execute("DROP TABLE tasks")
    connection.close()
    with pytest.raises(StoreError, match="could not be read"):
        await store.get("t")
    with pytest.raises(StoreError, match="could not write"):
        await store.create(record())
    await store.close()


SCHEMA_1 = """
    CREATE TABLE tasks (
        id VARCHAR NOT NULL, context_id VARCHAR NOT NULL, namespace VARCHAR NOT NULL, agent VARCHAR NOT NULL,
        skill VARCHAR, owner VARCHAR NOT NULL, version INTEGER NOT NULL, state VARCHAR NOT NULL,
        settled INTEGER NOT NULL, created FLOAT NOT NULL, updated FLOAT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id)
    ) WITHOUT ROWID;
    CREATE INDEX tasks_running ON tasks (id) WHERE settled = 0;
    CREATE INDEX tasks_ended ON tasks (updated) WHERE settled = 2;
    CREATE TABLE changes (
        task_id VARCHAR NOT NULL, version INTEGER NOT NULL, source VARCHAR, event_id VARCHAR, updates BLOB NOT NULL,
        PRIMARY KEY (task_id, version)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX changes_key ON changes (task_id, source, event_id) WHERE source IS NOT NULL;
    INSERT INTO tasks VALUES ('a', 'c', 'shop', 'cart', NULL, 'ann', 0, 'TASK_STATE_WORKING', 0, 1.0, 1.0, '{}');
    INSERT INTO tasks VALUES ('b', 'c', 'shop', 'cart', NULL, 'ann', 1, 'TASK_STATE_COMPLETED', 2, 1.0, 2.0, '{}');
    INSERT INTO changes VALUES ('b', 1, '/s', '1', '[{"x": 1}]');
    PRAGMA user_version = 1;
"""


async def test_a_file_of_schema_1_is_migrated_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA_1)
    connection.close()
    fresh = await SqliteStore.open(tmp_path / "fresh.db")
    await fresh.close()
    for _ in range(2):  # the second time there is nothing to migrate
        store = await SqliteStore.open(path)
        # Its holder of then has ended.
        assert await store.expired_replicas() == ["schema 1"]
        found = await store.find(TaskQuery("shop", "cart", "ann"))
        assert [(each.id, each.version, each.holder) for each in found.records] == [("b", 1, ""), ("a", 0, "schema 1")]
        assert [list(change.updates) for change in await store.changes("b")] == [[{"x": 1}]]
        await store.put_push(push(task_id="a"))
        await store.close()
    assert indexes(path) == indexes(tmp_path / "fresh.db")


def indexes(path: Path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
    connection.close()
    return found


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA_1)
    connection.execute("CREATE TABLE pushes_due (x)")  # the name of an index to come
    before = connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
    with pytest.raises(StoreUnusableError, match="pushes_due"):
        await SqliteStore.open(path)
    assert connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall() == before
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


async def test_only_the_process_that_holds_the_file_lives(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "tasks.db")
    await store.create(record("a", holder="earlier"))
    await store.beat("earlier", seconds=60)
    await store.beat("now", seconds=0.0)
    assert await store.expired_replicas() == ["earlier"]
    await store.close()


SCHEMA_2_LETTERS = """
    CREATE TABLE dead_letters (
        number INTEGER NOT NULL, namespace VARCHAR NOT NULL, agent VARCHAR NOT NULL, source VARCHAR, event_id VARCHAR,
        reason VARCHAR NOT NULL, received FLOAT NOT NULL, attributes BLOB NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (number), UNIQUE (namespace, agent, source, event_id)
    );
    INSERT INTO dead_letters VALUES (7, 'shop', '', '/s', '1', 'why', 3.0, '{"id":"1","source":"/s","n":7}', X'00');
    PRAGMA user_version = 2;
"""


async def test_letters_of_schema_2_are_kept_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    await (await SqliteStore.open(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE dead_letters")
    connection.execute("ALTER TABLE tasks DROP COLUMN body_version")
    connection.executescript(SCHEMA_2_LETTERS)
    connection.close()
    store = await SqliteStore.open(path)
    assert await store.letter("7") == letter()
    assert not await store.add_dead_letter(letter())
    await store.drop_letters(["7"])
    await store.add_dead_letter(letter())
    assert int((await store.letters("shop"))[0].id) > 7
    await store.close()


async def test_letters_are_read_and_dropped_beside_the_process_that_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.add_dead_letter(letter())
    beside = SqliteLetters(path)
    [found] = await beside.find_letters(Letters())
    assert await beside.letter(found.id) == found == letter()
    assert await beside.drop_letters([found.id]) == 1
    assert await store.letters("shop") == []
    await beside.close()
    await store.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "there is no file", id="no file"),
        pytest.param(b"not a database" * 100, "not a database", id="no database"),
        pytest.param(b"", "schema 0", id="an empty one"),
    ],
)
def test_letters_beside_are_of_a_file_of_this_version(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "tasks.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreUnusableError, match=said):
        SqliteLetters(path)


async def test_a_task_whose_log_has_a_gap_is_no_task(tmp_path: Path) -> None:
    """What is in no snapshot must not be left out without a word."""
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.create(streaming())
    await stream(store, streaming(), chunks=30, size=4096)
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM changes WHERE version = 29")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="not complete"):
        await store.get("t")
    await store.close()
