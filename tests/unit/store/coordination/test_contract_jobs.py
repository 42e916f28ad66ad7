"""The contract of every database: definitions and jobs, whose attempts one replica holds at a time."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lambdaagent.coordination.job import Definition, Job
from lambdaagent.coordination.refusals import IdInUseError, TooManyError
from lambdaagent.store.coordination import jobs
from lambdaagent.store.coordination.database import Database, Transaction


def made(id_: str = "j", **more: Any) -> Job:
    values: dict[str, Any] = {
        "task_id": "", "task_type": "say", "required_capabilities": [], "agent_id": "", "strategy": "auto",
        "priority": 5, "max_retries": 2, "timeout_seconds": 60, "input_data": {"a": 1}, "metadata": {},
        "created_by": "ann", "principal": "",
    }  # fmt: skip
    return Job(job_id=id_, **values | more)


def later(tx: Transaction, seconds: float) -> Transaction:
    return replace(tx, now=tx.now + seconds)


async def submit(database: Database, job: Job, most: int = 100) -> Job | None:
    return await database.run(lambda tx: jobs.submit(tx, job, most=most))


async def claim(database: Database, holder: str = "r1", *, after: float = 0, limit: int = 10) -> list[Job]:
    return await database.run(lambda tx: jobs.claim(later(tx, after), holder, limit=limit, lease=10))


async def found(database: Database, id_: str = "j") -> Job:
    job = await database.read(lambda tx: jobs.find(tx, id_))
    assert job is not None
    return job


async def test_the_most_urgent_job_is_taken_first_and_each_by_one_replica(database: Database) -> None:
    for id_, priority in (("a", 1), ("b", 9), ("c", 5)):
        await submit(database, made(id_, priority=priority))
    assert [job.job_id for job in await claim(database, limit=2)] == ["b", "c"]
    for number in range(20):
        await submit(database, made(f"n{number:02}"))
    taken = await asyncio.gather(*(claim(database, f"r{n}", limit=7) for n in range(5)))
    ids = [job.job_id for each in taken for job in each]
    assert len(ids) == len(set(ids)) == 21


async def test_an_attempt_goes_on_elsewhere_when_its_lease_ends(database: Database) -> None:
    await submit(database, made())
    [first] = await claim(database)
    assert (first.status, first.attempt) == ("assigned", 1)
    assert await database.run(lambda tx: jobs.assign(tx, first, "shop/echo"))
    assert await claim(database, "r2", after=9) == []
    assert await database.run(lambda tx: jobs.renew(later(tx, 9), "r1", ["j"], lease=10)) == {"j"}
    assert await claim(database, "r2", after=11) == []
    [again] = await claim(database, "r2", after=20)
    assert (again.attempt, again.assigned_agent_id) == (1, "shop/echo")
    assert await database.run(lambda tx: jobs.renew(tx, "r1", ["j"], lease=10)) == set()


async def test_only_the_attempt_that_is_going_on_ends_a_job(database: Database) -> None:
    await submit(database, made())
    [first] = await claim(database)
    assert await database.run(lambda tx: jobs.fail(tx, first, "no", again_after=0))
    assert (await found(database)).status == "pending"
    [second] = await claim(database, "r2")
    assert (second.attempt, second.retry_count) == (2, 1)
    for late in (
        lambda tx: jobs.complete(tx, first, {"x": 1}),
        lambda tx: jobs.fail(tx, first, "late", again_after=0),
        lambda tx: jobs.assign(tx, first, "x"),
    ):
        assert not await database.run(late)
    assert await database.run(lambda tx: jobs.complete(later(tx, 2), second, {"x": 2}))
    done = await found(database)
    assert (done.status, done.output_data, done.error_message) == ("completed", {"x": 2}, None)
    assert not await database.run(lambda tx: jobs.complete(tx, second, {"x": 3}))


async def test_of_many_that_end_an_attempt_one_does(database: Database) -> None:
    await submit(database, made())
    [job] = await claim(database)
    ends = (database.run(lambda tx, n=n: jobs.complete(tx, job, {"n": n})) for n in range(10))  # type: ignore[misc]
    assert sum(await asyncio.gather(*ends)) == 1


async def test_a_job_fails_after_its_last_retry(database: Database) -> None:
    await submit(database, made(max_retries=1))
    for _ in range(2):
        [job] = await claim(database)
        await database.run(lambda tx, job=job: jobs.fail(tx, job, "no", again_after=0))  # type: ignore[misc]
    failed = await found(database)
    assert (failed.status, failed.retry_count, failed.error_message) == ("failed", 1, "no")
    assert await claim(database, after=1000) == []


async def test_a_job_without_an_agent_waits_and_that_is_no_attempt(database: Database) -> None:
    await submit(database, made())
    [job] = await claim(database)
    await database.run(lambda tx: jobs.defer(tx, job, "nobody", seconds=5))
    assert await claim(database, after=4) == []
    [job] = await claim(database, after=6)
    assert (job.attempt, job.error_message) == (1, "nobody")


async def test_a_canceled_job_is_ended_by_nothing_else(database: Database) -> None:
    await submit(database, made())
    [job] = await claim(database)
    done = await database.run(lambda tx: jobs.cancel(tx, "j", "ann"))
    assert done is not None
    assert (done[0].status, done[1]) == ("cancelled", True)
    assert not await database.run(lambda tx: jobs.complete(tx, job, {}))
    again = await database.run(lambda tx: jobs.cancel(tx, "j", "ann"))
    assert again is not None
    assert not again[1]
    assert await database.run(lambda tx: jobs.cancel(tx, "absent", "ann")) is None


async def test_the_same_id_is_one_job_and_an_owner_has_so_many(database: Database) -> None:
    assert await submit(database, made(), most=1) is None
    known = await submit(database, made(), most=1)
    assert known is not None
    assert known.job_id == "j"
    with pytest.raises(TooManyError):
        await submit(database, made("k"), most=1)


async def test_turns_are_counted_once_each(database: Database) -> None:
    turns = await asyncio.gather(*(database.run(lambda tx: jobs.turn(tx, "say")) for _ in range(20)))
    assert sorted(turns) == list(range(20))


async def test_a_definition_is_kept_until_it_is_deleted(database: Database) -> None:
    definition = Definition(
        task_id="t", name="T", description="", task_type="say", required_capabilities=["x"],
        input_schema={"type": "object"}, output_schema={}, priority=5,
        max_retries=3, timeout_seconds=300, strategy="auto", agent_id="", metadata={},
        created_by="ann",
    )  # fmt: skip
    await database.run(lambda tx: jobs.define(tx, definition, most=1))
    read = await database.read(lambda tx: jobs.definition(tx, "t"))
    assert read is not None
    assert replace(read, created_at=0, modified_at=0) == definition
    with pytest.raises(IdInUseError):
        await database.run(lambda tx: jobs.define(tx, definition, most=9))
    with pytest.raises(TooManyError):
        await database.run(lambda tx: jobs.define(tx, replace(definition, task_id="u"), most=1))
    assert await database.run(lambda tx: jobs.undefine(tx, "t", "ann"))
    assert await database.read(lambda tx: jobs.definition(tx, "t")) is None
