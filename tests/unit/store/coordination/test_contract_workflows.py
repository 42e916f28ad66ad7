"""The contract of every database: workflows, runs, and the records of their steps."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lambdaagent.coordination.deliveries import Addressed
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.refusals import IdInUseError, TooLargeError, TooManyError
from lambdaagent.coordination.workflow import Run, Workflow
from lambdaagent.store.coordination import messages, parking, workflows
from lambdaagent.store.coordination.database import Database
from lambdaagent.store.coordination.workflows import LostRunError

DOCUMENT = {
    "document": {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0"},
    "do": [{"a": {"set": {"x": 1}}}],
}


def workflow(name: str = "w", **more: Any) -> Workflow:
    return Workflow(**{"name": name, "version": "1.0.0", "document": DOCUMENT, "created_by": "ann", **more})


async def submitted(database: Database, run_id: str = "r", *, most: int = 10, **more: Any) -> Run | None:
    run = Run(
        run_id=run_id,
        workflow="w",
        version="1.0.0",
        document=DOCUMENT,
        principal="p",
        **{"input": None, "created_by": "ann", **more},
    )
    return await database.run(lambda tx: workflows.submit(tx, run, most=most))


async def claimed(database: Database, holder: str = "one", *, after: float = 0.0) -> list[Run]:
    return await database.run(lambda tx: workflows.claim(replace(tx, now=tx.now + after), holder, limit=10, lease=15.0))


async def record(database: Database, run: Run, step: str, value: Any = "x", *, most: int = 10, size: int = 1) -> None:
    await database.run(lambda tx: workflows.record(tx, run, step, {"output": value}, size=size, most=most, largest=100))


async def test_a_workflow_is_its_creators_and_the_next_version_replaces_it(database: Database) -> None:
    define = lambda given, most=2: database.run(lambda tx: workflows.define(tx, given, most=most))  # noqa: E731
    assert await define(workflow()) is True
    assert await define(workflow(version="1.1.0", access={"grants": []})) is False
    found = await database.read(lambda tx: workflows.find_workflow(tx, "w"))
    assert found is not None
    assert (found.version, found.created_by, found.document) == ("1.1.0", "ann", DOCUMENT)
    with pytest.raises(IdInUseError):
        await define(workflow(created_by="bob"))
    await define(workflow("v"))
    with pytest.raises(TooManyError):
        await define(workflow("x"))
    assert await database.run(lambda tx: workflows.undefine(tx, "w", "ann"))
    assert not await database.run(lambda tx: workflows.undefine(tx, "w", "ann"))
    with pytest.raises(IdInUseError):  # what was called so by one is never another's
        await define(workflow(created_by="bob"))
    assert [
        each.name for each in await database.read(lambda tx: workflows.listed_workflows(tx, after="", limit=9))
    ] == ["v"]
    assert await define(workflow()) is True


async def test_a_run_is_taken_by_one_replica_and_again_after_its_lease(database: Database) -> None:
    assert await submitted(database, input={"a": None}) is None
    again = await submitted(database, input="other")
    assert again is not None
    assert (again.input, again.status, again.started_at) == ({"a": None}, "pending", None)
    both = await asyncio.gather(claimed(database), claimed(database, "two"))
    assert sorted(len(each) for each in both) == [0, 1]
    [first] = [*both[0], *both[1]]
    assert (first.status, first.epoch, first.started_at is not None) == ("running", 1, True)
    assert await database.run(lambda tx: workflows.renew(tx, first.holder, ["r", "s"], lease=15.0)) == {"r"}
    [second] = await claimed(database, "three", after=16.0)
    assert (second.epoch, second.started_at) == (2, first.started_at)
    assert await database.run(lambda tx: workflows.renew(tx, first.holder, ["r"], lease=15.0)) == set()
    await database.run(lambda tx: workflows.release(tx, "three"))
    assert len(await claimed(database, "four")) == 1


async def test_a_step_has_one_record_which_only_the_holder_writes(database: Database) -> None:
    await submitted(database)
    [old] = await claimed(database)
    await record(database, old, "/a", None)
    [new] = await claimed(database, "two", after=16.0)
    for late in (lambda: record(database, old, "/b"), lambda: record(database, replace(new, holder="x"), "/b")):
        with pytest.raises(LostRunError):
            await late()
    assert not await database.run(lambda tx: workflows.finish(tx, old, "completed", output=1, error=None))
    await record(database, new, "/b", {"y": [1.5]})
    with pytest.raises(Exception, match=r"UNIQUE|unique|duplicate"):
        await record(database, new, "/b")
    assert await database.read(lambda tx: workflows.recorded(tx, "r")) == [
        (1, "/a", {"output": None}), (2, "/b", {"output": {"y": [1.5]}}),
    ]  # fmt: skip
    assert await database.run(lambda tx: workflows.finish(tx, new, "completed", output=None, error=None))
    with pytest.raises(LostRunError):
        await record(database, new, "/c")
    found = await database.read(lambda tx: workflows.find(tx, "r"))
    assert found is not None
    assert (found.status, found.steps, found.size, found.output) == ("completed", 2, 2, None)


async def test_records_are_bounded_in_number_and_size(database: Database) -> None:
    await submitted(database)
    [run] = await claimed(database)
    await record(database, run, "/a", size=60)
    with pytest.raises(TooLargeError):
        await record(database, run, "/b", size=60)
    with pytest.raises(TooManyError):
        await record(database, run, "/b", most=1)
    found = await database.read(lambda tx: workflows.find(tx, "r"))
    assert found is not None
    assert (found.steps, found.size) == (1, 60)


async def test_an_owner_has_so_many_runs_at_once_and_what_ended_is_pruned(database: Database) -> None:
    await submitted(database, most=1)
    with pytest.raises(TooManyError):
        await submitted(database, "s", most=1)
    [run] = await claimed(database)
    await record(database, run, "/a")
    done = await database.run(lambda tx: workflows.cancel(tx, "r", "ann"))
    assert done is not None
    assert (done[0].status, done[1]) == ("cancelled", True)
    again = await database.run(lambda tx: workflows.cancel(tx, "r", "ann"))
    assert again is not None
    assert again[1] is False
    await submitted(database, "s", most=1, created_by="ann")
    listed = await database.read(lambda tx: workflows.listed(tx, workflow="w", owner="ann", status="pending", limit=5))
    assert [each.run_id for each in listed] == ["s"]
    assert await database.read(workflows.counts) == {"cancelled": 1, "pending": 1}
    assert await database.run(lambda tx: workflows.prune(tx, before=tx.now + 1, limit=9)) == ["r"]
    assert await database.read(lambda tx: workflows.recorded(tx, "r")) == []


@pytest.mark.parametrize("value", [None, 1, 1.5, "12", "x", True, [1], {"a": None}])
async def test_input_and_output_are_any_json(database: Database, value: Any) -> None:
    await submitted(database, input=value)
    [run] = await claimed(database)
    assert run.input == value
    await record(database, run, "/a", value)
    await database.run(lambda tx: workflows.finish(tx, run, "completed", output=value, error=None))
    found = await database.read(lambda tx: workflows.find(tx, "r"))
    assert found is not None
    assert (found.output, found.error, type(found.output)) == (value, None, type(value))
    assert await database.read(lambda tx: workflows.recorded(tx, "r")) == [(1, "/a", {"output": value})]


async def test_records_are_read_in_pages(database: Database) -> None:
    await submitted(database)
    [run] = await claimed(database)
    for number in range(5):
        await record(database, run, f"/{4 - number}")
    pages = [await database.read(lambda tx, n=n: workflows.recorded(tx, "r", after=n, limit=2)) for n in (0, 2, 4, 5)]  # type: ignore[misc]
    assert [[(number, step) for number, step, _ in page] for page in pages] == [
        [(1, "/4"), (2, "/3")], [(3, "/2"), (4, "/1")], [(5, "/0")], [],
    ]  # fmt: skip


async def written(database: Database, receiver: str = "run_r", number: int = 1) -> None:
    message = Message(id=f"m{number}", sender="ann", to=(receiver,), kind="notification", content={"n": number})
    to = [Addressed(receiver, "mailbox")]
    await database.run(lambda tx: messages.put(tx, message, to, by="ann", most=10, lease=9.0))


async def parked(database: Database, run: Run, seconds: float = 3600.0) -> set[str]:
    return await database.run(lambda tx: parking.park(tx, {run.run_id: (run, tx.now + seconds)}))


async def test_a_run_that_waits_is_nobodys_until_its_time(database: Database) -> None:
    await submitted(database, "run_r")
    [run] = await claimed(database)
    assert await parked(database, run) == {"run_r"}
    with pytest.raises(LostRunError):
        await record(database, run, "/a")
    assert await claimed(database, "two", after=3599.0) == []
    [again] = await claimed(database, "two", after=3601.0)
    assert (again.epoch, again.started_at) == (2, run.started_at)
    assert await parked(database, run) == set()  # whoever lost it cannot park it


async def test_a_message_gives_a_run_that_waits_to_a_replica(database: Database) -> None:
    await submitted(database, "run_r")
    [run] = await claimed(database)
    await parked(database, run)
    await written(database, "run_other")
    assert await claimed(database) == []
    await written(database, number=2)
    [again] = await claimed(database)
    assert await parked(database, again) == set()  # there is something for it
    await database.run(lambda tx: messages.settle(tx, "m2", "run_r", "acknowledged"))
    assert await parked(database, again) == {"run_r"}


async def test_no_message_is_lost_while_a_run_is_parked(database: Database) -> None:
    for number in range(20):
        run_id = f"run_{number}"
        await submitted(database, run_id, most=100)
        [run] = await claimed(database)
        await asyncio.gather(parked(database, run), written(database, run_id, number))
        [held] = (
            [run]
            if await database.run(lambda tx, one=run_id: workflows.renew(tx, "one", [one], lease=9.0))
            # type: ignore[misc]
            else (await claimed(database))
        )
        assert held.run_id == run_id
        await database.run(lambda tx, one=held: workflows.finish(tx, one, "completed", output=None, error=None))  # type: ignore[misc]


async def test_runs_of_owners_who_have_their_share_are_left(database: Database) -> None:
    for number, owner in enumerate(("ann", "ann", "bob")):
        await submitted(database, f"r{number}", created_by=owner)
    taken = await database.run(lambda tx: workflows.claim(tx, "one", limit=10, lease=9.0, without={"ann"}))
    assert [run.run_id for run in taken] == ["r2"]
    assert len(await claimed(database)) == 2
