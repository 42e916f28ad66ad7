"""Files of earlier schemas: they are migrated with all their content."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from tests.parts.store_chunks import chunk, stream, streaming
from tests.parts.store_records import letter, push, record

from lambdaagent.a2a.tasks import fold_all
from lambdaagent.store.errors import StoreUnusableError
from lambdaagent.store.records import Letters, TaskQuery
from lambdaagent.store.sqlite.store import SqliteStore

SCHEMA_4 = """
    CREATE TABLE tasks (
        id VARCHAR NOT NULL, context_id VARCHAR NOT NULL, namespace VARCHAR NOT NULL, agent VARCHAR NOT NULL,
        skill VARCHAR, owner VARCHAR NOT NULL, version INTEGER NOT NULL, state VARCHAR NOT NULL,
        settled INTEGER NOT NULL, created FLOAT NOT NULL, updated FLOAT NOT NULL, body BLOB NOT NULL,
        holder VARCHAR DEFAULT '' NOT NULL, deadline FLOAT DEFAULT '0' NOT NULL, remote VARCHAR DEFAULT '' NOT NULL,
        once VARCHAR, PRIMARY KEY (id)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX tasks_once ON tasks (namespace, agent, owner, once) WHERE once IS NOT NULL;
    CREATE INDEX tasks_working ON tasks (holder, deadline) WHERE settled = 0;
    CREATE INDEX tasks_listed ON tasks (namespace, agent, owner, updated, id);
    CREATE INDEX tasks_context ON tasks (context_id);
    CREATE INDEX tasks_ended ON tasks (updated) WHERE settled = 2;
    CREATE TABLE changes (
        task_id VARCHAR NOT NULL, version INTEGER NOT NULL, source VARCHAR, event_id VARCHAR, updates BLOB NOT NULL,
        PRIMARY KEY (task_id, version)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX changes_key ON changes (task_id, source, event_id) WHERE source IS NOT NULL;
    CREATE TABLE dead_letters (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, namespace VARCHAR NOT NULL, agent VARCHAR NOT NULL,
        source VARCHAR, event_id VARCHAR, reason VARCHAR NOT NULL, received FLOAT NOT NULL, attributes BLOB NOT NULL,
        data BLOB NOT NULL, code INTEGER DEFAULT '-1' NOT NULL, destination VARCHAR DEFAULT '' NOT NULL,
        attempts INTEGER DEFAULT '0' NOT NULL, UNIQUE (namespace, agent, source, event_id)
    );
    INSERT INTO dead_letters VALUES
        (7, 'shop', '', '/s', '1', 'why', 3.0, '{"id":"1","source":"/s","n":7}', X'00', 503, 'http://there', 4);
    PRAGMA user_version = 4;
"""


async def test_tasks_of_schema_4_are_there_and_grow_and_letters_keep_all_that_was_known_of_them(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA_4)
    updates = [chunk(n, size=4096) for n in range(10)]
    task = fold_all(streaming().task, updates)
    row = ("t", "c", "shop", "cart", None, "anonymous", 10, "TASK_STATE_WORKING", 0, 1.0, 11.0, orjson.dumps(task))
    connection.execute(f"INSERT INTO tasks VALUES ({', '.join('?' * 16)})", (*row, "one", 0.0, "", None))
    connection.executemany(
        "INSERT INTO changes VALUES ('t', ?, NULL, NULL, ?)",
        [(n + 1, orjson.dumps([update])) for n, update in enumerate(updates)],
    )
    connection.commit()
    connection.close()
    store = await SqliteStore.open(path)
    before = await store.get("t")
    assert before == replace(streaming(version=10, updated=11.0), task=task)
    before = await stream(store, before, chunks=20, size=4096)
    await store.close()
    store = await SqliteStore.open(path)
    assert await store.get("t") == before
    assert len(await store.changes("t")) == 30
    assert await store.letter("7") == letter(code=503, destination="http://there", attempts=4)
    await store.close()


async def test_columns_stand_in_the_same_order_whatever_a_file_began_as(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript(SCHEMA_4)
    connection.close()
    for name in ("old.db", "new.db"):
        await (await SqliteStore.open(tmp_path / name)).close()
    assert columns(tmp_path / "old.db") == columns(tmp_path / "new.db")


async def test_receivers_of_schema_5_are_kept_without_their_registrants(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    store = await SqliteStore.open(path)
    await store.create(record(), push=push(registrant="somebody"))
    await store.close()
    before = columns(path)
    connection = sqlite3.connect(path)
    connection.executescript("ALTER TABLE pushes DROP COLUMN registrant; PRAGMA user_version = 5;")
    connection.close()
    store = await SqliteStore.open(path)
    assert await store.pushes("t") == [push()]
    await store.put_push(push("q", registrant="somebody"))
    assert (await store.pushes("t"))[1].registrant == "somebody"
    await store.close()
    assert columns(path) == before


def columns(path: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in tables}
    connection.close()
    return found


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
    connection.execute("ALTER TABLE pushes DROP COLUMN registrant")
    connection.executescript(SCHEMA_2_LETTERS)
    connection.close()
    store = await SqliteStore.open(path)
    assert await store.letter("7") == letter()
    assert not await store.add_dead_letter(letter())
    await store.drop_letters(["7"])
    await store.add_dead_letter(letter())
    assert int((await store.find_letters(Letters("shop")))[0].id) > 7
    await store.close()
