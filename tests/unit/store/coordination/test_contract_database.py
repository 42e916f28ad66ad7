"""The contract of every database for coordination: transactions and announcements."""

import asyncio

import pytest
from sqlalchemy import select
from tests.parts.polling import eventually
from tests.parts.registered import registered

from lambdaagent.store.coordination import agents
from lambdaagent.store.coordination.database import Database, Notice, Transaction
from lambdaagent.store.errors import UnfitError


async def test_what_raises_writes_nothing_and_its_neighbours_do(database: Database) -> None:
    def fails(tx: Transaction) -> None:
        agents.put(tx, registered("b"), most=10)
        raise ValueError("mine")

    one = database.run(lambda tx: agents.put(tx, registered("a"), most=10))
    two = database.run(fails)
    three = database.run(lambda tx: agents.put(tx, registered("c"), most=10))
    outcomes = await asyncio.gather(one, two, three, return_exceptions=True)
    assert [outcomes[0], str(outcomes[1]), outcomes[2]] == [True, "mine", True]
    found = await database.read(lambda tx: agents.every(tx, after="", limit=10))
    assert [each.agent_id for each in found] == ["a", "c"]


@pytest.mark.parametrize("value", ["\ud800", object()])
async def test_a_value_that_no_column_takes_is_refused(database: Database, value: object) -> None:
    with pytest.raises((UnfitError, TypeError)):
        await database.run(lambda tx: agents.put(tx, registered("a", metadata={"x": value}), most=10))
    assert await database.read(lambda tx: agents.find(tx, "a")) is None


async def test_changes_are_announced_once_after_the_commit(database: Database) -> None:
    heard: list[Notice] = []
    database.on_notice(heard.append, missed=lambda: None)

    def twice(tx: Transaction) -> None:
        tx.notify("agent", "a")
        tx.notify("agent", "a")

    await database.run(twice)
    assert heard == [Notice("agent", "a")]

    def fails(tx: Transaction) -> None:
        tx.notify("agent", "b")
        raise ValueError

    with pytest.raises(ValueError):
        await database.run(fails)
    assert heard == [Notice("agent", "a")]


async def test_the_time_is_that_of_the_transaction(database: Database) -> None:
    def time(tx: Transaction) -> float:
        return tx.now

    before, at, after = database.now(), await database.run(time), database.now()
    assert before - 1 <= at <= after + 1


async def test_works_of_many_callers_are_all_done(database: Database) -> None:
    def put(number: int) -> object:
        return database.run(lambda tx: agents.put(tx, registered(f"a{number:03}"), most=1000))

    await asyncio.gather(*(put(number) for number in range(200)))  # type: ignore[call-overload]
    assert (await database.read(agents.counts))["active"] == 200


async def test_concurrent_changes_of_one_row_all_count(database: Database) -> None:
    await database.run(lambda tx: agents.put(tx, registered("a"), most=10))

    def add(tx: Transaction) -> None:
        row = tx.connection.execute(
            select(agents.agents.c.load).where(agents.agents.c.agent_id == "a").with_for_update()
        )
        load = row.scalar_one()
        agents.change(tx, "a", "me", load=load + 1)

    await asyncio.gather(*(database.run(add) for _ in range(50)))
    found = await database.read(lambda tx: agents.find(tx, "a"))
    assert found is not None
    assert found.load == 50


async def test_another_replica_hears_of_a_change(database_url: str) -> None:
    from lambdaagent.store.postgres.store import PostgresStore

    first, second = await PostgresStore.open(database_url), await PostgresStore.open(database_url)
    one, two = first.coordination(), second.coordination()
    heard: list[Notice] = []
    begun: list[None] = []
    two.on_notice(heard.append, missed=lambda: begun.append(None))
    await eventually(lambda: _as(begun), what="the begin of listening")
    await one.run(lambda tx: agents.put(tx, registered("a"), most=10))
    await eventually(lambda: _as(heard), what="the announcement")
    assert heard == [Notice("agent", "a")]
    for each in (one, two, first, second):
        await each.close()


async def _as(found: list[Notice] | list[None]) -> bool:
    return bool(found)
