"""What only a server of its own can do: go away, come back, be asked by several, and have another schema."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from tests.parts.polling import eventually
from tests.parts.postgres import Postgres
from tests.parts.store_records import UPDATE, following, push, record

from lambdaagent.errors import UsageError
from lambdaagent.store.errors import StoreError
from lambdaagent.store.postgres import pool as pools
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.records import COUNTED, TaskQuery

Opener = Callable[[], "asyncio.Future[PostgresStore]"]


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Opens two stores over one database."""
    one, other = await PostgresStore.open(database_url), await PostgresStore.open(database_url)
    yield one, other
    await one.close()
    await other.close()


Both = tuple[PostgresStore, PostgresStore]


async def test_the_other_replica_is_told_of_a_change_and_this_one_is_not(both: Both) -> None:
    heard: list[tuple[str, str]] = []
    for name, store in zip(("one", "other"), both, strict=True):
        listening = asyncio.Event()
        store.on_change(lambda task_id, name=name: heard.append((name, task_id)), missed=listening.set)  # type: ignore[misc]
        await listening.wait()
    await both[0].create(record())
    await both[0].append(following(record()), updates=[UPDATE])
    await both[1].append(replace(record(), version=2), updates=[])
    await eventually(lambda: len(heard) >= 2)
    assert sorted(heard) == [("one", "t"), ("other", "t")]


async def test_who_listens_hears_again_after_the_connection_was_cut(
    both: Both, postgres: Postgres, database_url: str
) -> None:
    heard: list[str] = []
    listening = asyncio.Event()
    both[1].on_change(heard.append, missed=listening.set)
    await listening.wait()
    listening.clear()
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()",
        database=database_url.rpartition("/")[2],
    )
    async with asyncio.timeout(20):
        await listening.wait()
    await both[0].create(record())
    await both[0].append(following(record()), updates=[])
    await eventually(lambda: heard == ["t"])


async def test_a_replica_is_dead_when_its_time_is_over_by_the_servers_clock(both: Both) -> None:
    await both[0].create(record("a", holder="one"))
    await both[0].create(record("b", holder="two"))
    await both[0].beat("one", seconds=60)
    await both[1].beat("two", seconds=0.0)
    assert await both[0].expired_replicas() == await both[1].expired_replicas() == ["two"]


async def test_of_two_replicas_one_writes_the_next_version(both: Both) -> None:
    await both[0].create(record())
    for version in range(1, 30):
        next_one = record(version=version)
        outcomes = await asyncio.gather(
            *(store.append(next_one, updates=[]) for store in both for _ in range(3)), return_exceptions=True
        )
        assert outcomes.count(True) == 1
    assert [change.version for change in await both[0].changes("t")] == list(range(1, 30))


async def test_two_replicas_that_write_the_same_tasks_do_not_wait_in_a_circle(both: Both) -> None:
    ids = [f"t{n}" for n in range(100)]
    await asyncio.gather(*(both[0].create(record(each)) for each in ids))

    async def write(store: PostgresStore, order: list[str]) -> int:
        changes = [store.append(record(each, version=1), updates=[]) for each in order]
        return (await asyncio.gather(*changes, return_exceptions=True)).count(True)

    assert sum(await asyncio.gather(write(both[0], ids), write(both[1], ids[::-1]))) == 100


async def test_two_replicas_claim_different_pushes(both: Both) -> None:
    await both[0].create(record())
    await both[0].append(following(record()), updates=[UPDATE])
    for n in range(40):
        await both[0].put_push(push(f"p{n}"))
    claims = [store.claim_pushes(now=1.0, until=9.0, limit=5) for store in both for _ in range(4)]
    ids = [each.id for found in await asyncio.gather(*claims) for each in found]
    assert len(ids) == len(set(ids)) >= 5


async def test_a_list_is_counted_up_to_a_bound(both: Both, postgres: Postgres, database_url: str) -> None:
    await both[0].create(record())
    postgres.execute(
        "INSERT INTO lambdaagent_tasks SELECT (jsonb_populate_record(t, jsonb_build_object("
        f"'id', 'x' || n, 'updated', n))).* FROM lambdaagent_tasks t, generate_series(1, {COUNTED}) n",
        database=database_url.rpartition("/")[2],
    )
    found = await both[0].find(TaskQuery("shop", "cart", "anonymous", limit=3))
    assert ([each.id for each in found.records], found.total) == ([f"x{COUNTED - n}" for n in range(3)], COUNTED)


async def test_a_server_that_is_away_at_the_start_is_waited_for_and_named_without_the_password(
    postgres: Postgres, database_url: str
) -> None:
    closed = database_url.replace(f":{postgres.port}/", ":1/")
    store = await PostgresStore.open(closed)
    with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:1/") as raised:
        await store.get("t")
    assert "a-secret" not in f"{raised.value} {store.problem}"
    assert store.problem is not None
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.get("t")
    with pytest.raises(StoreError, match="closed"):
        await store.create(record())


async def test_a_server_that_hangs_is_given_up_and_works_again(
    own_postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdaagent.store.postgres import migrating
    from lambdaagent.store.postgres.urls import DatabaseUrl

    for name in ("_CONNECT", "_STATEMENT", "_CALL"):
        monkeypatch.setattr(pools, name, 1.0)
    url = own_postgres.url(own_postgres.database())
    await migrating.migrate(DatabaseUrl(url))
    store = await PostgresStore.open(url)
    await store.create(record())
    own_postgres.pause()
    try:
        begin = time.monotonic()
        calls = [store.get("t"), store.create(record("u")), store.append(following(record()), updates=[])]
        failed = await asyncio.gather(*calls, *(store.get("t") for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in failed} == {StoreError}
        assert time.monotonic() - begin < 10
    finally:
        own_postgres.resume()
    for _ in range(100):
        try:
            assert await store.get("t") is not None
            break
        except StoreError:
            await asyncio.sleep(0.05)
    await store.create(record("v"))
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://u:pa@ss:w@rd@host:port/x", id="no port"),
        pytest.param("mysql://u:secret@host/x", id="another database"),
        pytest.param("postgresql://u:secret@[host/x", id="half an address"),
    ],
)
async def test_what_is_no_url_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="LAMBDAAGENT_DATABASE is not a URL") as raised:
        await PostgresStore.open(url)
    assert "secret" not in str(raised.value)
    assert "w@rd" not in str(raised.value)
