"""The contract of every database: shared contexts and the log of their changes."""

import asyncio
from dataclasses import replace
from typing import Any

import jsonpatch
import pytest

from lambdaagent.coordination.context import KEPT, Context, merged
from lambdaagent.coordination.refusals import IdInUseError, TooManyError, VersionError
from lambdaagent.store.coordination import contexts
from lambdaagent.store.coordination.database import Database, Transaction


async def made(database: Database, id_: str = "c", *, ttl: int = 60, most: int = 10, by: str = "ann") -> Context:
    return await database.run(
        lambda tx: contexts.create(
            tx, id_, {"n": 0}, participants=["bob"], strategies={"log": "append"}, ttl=ttl, by=by, most=most
        )
    )


def later(tx: Transaction, seconds: float) -> Transaction:
    return replace(tx, now=tx.now + seconds)


async def test_a_context_is_read_as_it_was_written(database: Database) -> None:
    written = await made(database)
    found = await database.read(lambda tx: contexts.find(tx, "c"))
    assert found is not None
    assert replace(found, created_at=0, modified_at=0, expires_at=0) == replace(
        written, created_at=0, modified_at=0, expires_at=0
    )
    assert found.expires_at - found.created_at == pytest.approx(60)


async def test_concurrent_changes_are_one_after_another(database: Database) -> None:
    await made(database)

    async def add(number: int) -> Any:
        patch = {"log": [number], "n": number}
        return await database.run(
            lambda tx: contexts.change(tx, "c", lambda c: merged(c.data, patch, c.strategies), by=f"w{number}")
        )

    found = await asyncio.gather(*(add(number) for number in range(40)))
    assert sorted(each.version for each in found) == list(range(2, 42))
    last = await database.read(lambda tx: contexts.find(tx, "c"))
    assert last is not None
    assert sorted(last.data["log"]) == list(range(40))
    assert last.data["n"] == last.data["log"][-1]
    log = await database.read(lambda tx: contexts.log(tx, "c", since=0, limit=100))
    data: dict[str, Any] = {}
    for entry in log:
        data = jsonpatch.apply_patch(data, entry.patch)
    assert data == last.data
    assert [entry.created_by for entry in log[1:]] == [f"w{number}" for number in last.data["log"]]


async def test_of_concurrent_changes_of_one_version_one_wins(database: Database) -> None:
    await made(database)
    attempts = (
        database.run(lambda tx, n=number: contexts.change(tx, "c", lambda _: {"n": n}, by="x", expected=1))  # type: ignore[misc]
        for number in range(1, 11)
    )
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(each, Context) for each in outcomes) == 1
    assert sum(isinstance(each, VersionError) for each in outcomes) == 9


async def test_what_changes_nothing_is_no_version(database: Database) -> None:
    await made(database)
    found = await database.run(lambda tx: contexts.change(tx, "c", lambda c: c.data, by="x"))
    assert found is not None
    assert found.version == 1


async def test_an_id_is_free_again_once_its_context_is_over(database: Database) -> None:
    await made(database, ttl=60)
    with pytest.raises(IdInUseError):
        await made(database, by="eve")
    assert await database.run(lambda tx: contexts.find(later(tx, 61), "c")) is None
    assert await database.run(lambda tx: contexts.change(later(tx, 61), "c", lambda c: {}, by="x")) is None
    assert await database.run(lambda tx: contexts.prune(later(tx, 61), limit=10)) == 1
    assert (await made(database, by="eve")).created_by == "eve"


async def test_an_owner_has_so_many(database: Database) -> None:
    await made(database, "a", most=1)
    with pytest.raises(TooManyError):
        await made(database, "b", most=1)
    assert await database.run(lambda tx: contexts.drop(tx, "a"))
    assert not await database.run(lambda tx: contexts.drop(tx, "a"))
    await made(database, "b", most=1)


async def test_the_log_is_bounded(database: Database) -> None:
    await made(database)
    for number in range(1, KEPT + 5):
        await database.run(lambda tx, n=number: contexts.change(tx, "c", lambda _: {"n": n}, by="x"))  # type: ignore[misc]
    log = await database.read(lambda tx: contexts.log(tx, "c", since=0, limit=10_000))
    assert (len(log), log[-1].version) == (KEPT, KEPT + 5)


async def test_the_contexts_of_an_owner_are_listed_by_their_last_change(database: Database) -> None:
    for id_, by in (("a", "ann"), ("b", "ann"), ("c", "bob")):
        await made(database, id_, by=by)
    await database.run(
        lambda tx: contexts.change(later(tx, 5), "a", lambda c: merged(c.data, {"n": 1}, c.strategies), by="bob")
    )
    found = await database.read(lambda tx: contexts.listed(tx, owner="ann", limit=10))
    assert [each.context_id for each in found] == ["a", "b"]
    assert len(await database.read(lambda tx: contexts.listed(tx, owner="ann", limit=1))) == 1
    assert await database.read(lambda tx: contexts.listed(later(tx, 100), owner="ann", limit=10)) == []
