"""The schema of a PostgreSQL: by a command, once, and what a gateway makes of another one."""

import asyncio
import os
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from tests.parts.postgres import Postgres
from tests.parts.store_records import record

from lambdaagent.store.coordination.schema import metadata
from lambdaagent.store.errors import StoreError
from lambdaagent.store.postgres import migrating, schema
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.postgres.urls import DatabaseUrl
from lambdaagent.store.records import Letters


@pytest.fixture
def empty_url(postgres: Postgres) -> str:
    return postgres.url(postgres.database())


def command(url: str, *args: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"LAMBDAAGENT_DATABASE": url}
    line = [sys.executable, "-m", "lambdaagent", "migrate", *args]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_migrates_and_says_so_and_checks(empty_url: str) -> None:
    checked = command(empty_url, "--check")
    assert (checked.returncode, "run `lambdaagent migrate`" in checked.stdout) == (1, True)
    first, second, again = command(empty_url), command(empty_url), command(empty_url, "--check")
    assert "applied v1_0, v1_1, v1_2, v1_3, v1_4, v1_5, v1_6, v1_7, v1_8, v1_9, v1_10, v1_11" in first.stdout, (
        first.stderr
    )
    assert "newest schema already" in second.stdout
    assert [each.returncode for each in (first, second, again)] == [0, 0, 0]
    assert "a-secret" not in "".join(each.stdout + each.stderr for each in (checked, first, second, again))


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        pytest.param("/data/tasks.db", 0, "nothing to do", id="a file"),
        pytest.param("", 0, "nothing to do", id="memory"),
        pytest.param("postgresql://u:a-secret@127.0.0.1:1/x", 1, "could not be migrated", id="nobody there"),
        pytest.param("postgresql://u:a-secret@host:port/x", 2, "is not a URL", id="no URL"),
    ],
)
def test_what_cannot_be_migrated_is_said(url: str, code: int, said: str) -> None:
    done = command(url)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "a-secret" not in done.stdout + done.stderr


async def test_several_at_once_do_it_once(empty_url: str) -> None:
    applied = await asyncio.gather(*(migrating.migrate(DatabaseUrl(empty_url)) for _ in range(4)))
    assert sorted(applied) == [
        [],
        [],
        [],
        ["v1_0", "v1_1", "v1_2", "v1_3", "v1_4", "v1_5", "v1_6", "v1_7", "v1_8", "v1_9", "v1_10", "v1_11"],
    ]


async def test_a_gateway_waits_for_a_schema_and_says_what_to_run(empty_url: str) -> None:
    store = await PostgresStore.open(empty_url)
    assert "run `lambdaagent migrate`" in (store.problem or "")
    with pytest.raises(StoreError, match="run `lambdaagent migrate`"):
        await store.create(record())
    await migrating.migrate(DatabaseUrl(empty_url))
    await store.create(record())
    assert store.problem is None
    await store.close()


async def test_a_later_minor_schema_is_used_and_left_alone(database_url: str, postgres: Postgres) -> None:
    name = database_url.rpartition("/")[2]
    postgres.execute(f"UPDATE {schema.TABLE} SET version_num = 'v1_99'", database=name)
    postgres.execute("ALTER TABLE lambdaagent_tasks ADD COLUMN novelty text", database=name)
    assert await migrating.migrate(DatabaseUrl(database_url)) == []
    store = await PostgresStore.open(database_url)
    await store.create(record())
    assert await store.get("t") == record()
    await store.close()


async def test_letters_of_the_version_before_are_there_and_it_may_go_on_writing_them(
    empty_url: str, postgres: Postgres
) -> None:
    name = empty_url.rpartition("/")[2]
    write = (
        "INSERT INTO lambdaagent_letters (namespace, agent, source, event_id, reason, received, attributes, data) "
        """VALUES ('shop', '', '/s', '{id}', 'why', 3, '{{"id":"{id}","source":"/s","type":"t"}}', 'd')"""
    )
    await migrating.migrate(DatabaseUrl(empty_url), to="v1_1")
    postgres.execute(write.format(id="1"), database=name)
    applied = await migrating.migrate(DatabaseUrl(empty_url))
    assert (applied[0], applied[-1]) == ("v1_2", migrating.newest())
    postgres.execute(write.format(id="2"), database=name)
    store = await PostgresStore.open(empty_url)
    found = await store.find_letters(Letters("shop", type="t"))
    assert [(each.attributes["id"], each.code, each.destination, each.attempts) for each in found] == [
        ("2", -1, "", 0), ("1", -1, "", 0),
    ]  # fmt: skip
    await store.close()


async def test_a_later_major_schema_is_refused(database_url: str, postgres: Postgres) -> None:
    postgres.execute(f"UPDATE {schema.TABLE} SET version_num = 'v2_0'", database=database_url.rpartition("/")[2])
    store = await PostgresStore.open(database_url)
    assert "newer" in (store.problem or "")
    with pytest.raises(StoreError, match="use a newer gateway"):
        await store.get("t")
    await store.close()


def test_the_migrations_make_the_tables_of_coordination(database_url: str) -> None:
    async def differences() -> list[object]:
        engine = create_async_engine(database_url.replace("postgresql:", "postgresql+asyncpg:"))
        async with engine.connect() as connection:
            found = await connection.run_sync(_differences)
        await engine.dispose()
        return found

    def _differences(connection: Connection) -> list[object]:
        names = set(metadata.tables)
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, parents: kind != "table" or name in names,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    assert asyncio.run(differences()) == []


def test_the_newest_migration_is_what_this_version_needs_or_a_later_minor_one() -> None:
    assert schema.problem(migrating.newest()) is None


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        pytest.param(None, "has no schema", id="none"),
        pytest.param("v0_9", "has v0_9 and v1_11 is needed", id="older"),
        pytest.param("v1_2", "has v1_2 and v1_11 is needed", id="an older minor one"),
        pytest.param("v1_9", "has v1_9 and v1_11 is needed", id="one before, by number"),
        pytest.param("v1_11", None, id="this one"),
        pytest.param("v1_99", None, id="later minor"),
        pytest.param("v2_0", "newer", id="later major"),
        pytest.param("abc", "newer", id="somebody else's"),
    ],
)
def test_which_schemas_will_do(revision: str | None, said: str | None) -> None:
    problem = schema.problem(revision)
    assert problem is None if said is None else said in (problem or "")
