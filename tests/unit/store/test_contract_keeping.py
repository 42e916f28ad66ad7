"""The contract of every store: recovery after a crash, and retention."""

import asyncio

import pytest
from tests.parts.store_records import UPDATE, EngineStore, ended, following, push, record

from lambdaagent.a2a.states import TaskState


async def test_unsettled_are_those_that_work_and_not_those_that_wait_or_ended(store: EngineStore) -> None:
    for state in (TaskState.WORKING, TaskState.SUBMITTED, TaskState.INPUT_REQUIRED, TaskState.COMPLETED):
        await store.create(record(state.v03, state=state))
    assert {each.id for each in await store.unsettled()} == {"working", "submitted"}


async def test_retention_forgets_old_tasks_that_ended_and_no_others(store: EngineStore) -> None:
    await store.create(record("old-running", updated=1.0))
    await store.create(record("new-ended", state=TaskState.FAILED, updated=9.0))
    first = record("old-ended")
    await store.create(first)
    await store.append(following(first, state=TaskState.COMPLETED, updated=2.0), updates=[UPDATE])
    assert await store.prune(before=5.0) == 1
    assert await store.get("old-ended") is None
    assert await store.changes("old-ended") == []
    assert await store.get("old-running") is not None
    assert await store.get("new-ended") is not None
    assert await store.prune(before=5.0) == 0


async def test_unsettled_of_some_holders_only(store: EngineStore) -> None:
    for holder in ("", "one", "two"):
        await store.create(record(f"of {holder}", holder=holder))
    await store.create(record("waits", holder="one", state=TaskState.INPUT_REQUIRED))

    async def ids(*holders: str) -> set[str]:
        return {each.id for each in await store.unsettled(holders=holders)}

    assert await ids("one") == {"of one"}
    assert await ids("one", "two", "nobody") == {"of one", "of two"}
    assert await ids() == set()


async def test_overdue_are_those_that_nobody_works_on_and_that_should_have_been_answered(store: EngineStore) -> None:
    await store.create(record("late", deadline=5.0))
    await store.create(record("in time", deadline=6.0))
    await store.create(record("held", deadline=5.0, holder="one"))
    await store.create(record("waits", deadline=5.0, state=TaskState.INPUT_REQUIRED))
    await store.create(record("done", deadline=5.0, state=TaskState.COMPLETED))
    assert [each.id for each in await store.overdue(now=6.0, held_before=5.0)] == ["late"]
    assert {each.id for each in await store.overdue(now=6.0, held_before=5.1)} == {"late", "held"}


async def test_what_a_holder_holds_is_what_has_not_settled(store: EngineStore) -> None:
    await store.create(record("works", holder="one"))
    await store.create(record("of two", holder="two"))
    await store.create(record("nobody's"))
    await store.create(record("ended", holder="one", state=TaskState.COMPLETED))
    await store.create(record("waits", holder="one", state=TaskState.INPUT_REQUIRED))
    assert await store.held("one") == {"works"}
    assert await store.held("nobody") == set()


async def test_a_key_that_changed_the_task_is_known(store: EngineStore) -> None:
    await store.create(record())
    await store.append(following(record()), updates=[], key=("", "first"))
    assert await store.changed_by("t", ("", "first"))
    assert not await store.changed_by("t", ("", "second"))
    assert not await store.changed_by("other", ("", "first"))


async def test_a_task_and_its_push_configuration_are_written_together_or_not_at_all(store: EngineStore) -> None:
    assert await store.create(record(), idempotency_key="k", push=push()) is None
    assert [each.id for each in await store.pushes("t")] == ["p"]
    again = push("other", task_id="second")
    assert await store.create(record("second"), idempotency_key="k", push=again) == "t"
    assert await store.get("second") is None
    assert await store.pushes("second") == []


async def test_a_holder_is_dead_until_it_says_that_it_lives(store: EngineStore) -> None:
    await store.create(record("a", holder="gone"))
    await store.create(record("b", holder="gone"))
    await store.create(record("c", holder="here"))
    await store.create(record("d"))
    await store.create(record("e", holder="idle", state=TaskState.INPUT_REQUIRED))
    assert await store.expired_replicas() == ["gone", "here"]
    await store.beat("here", seconds=60)
    assert await store.expired_replicas() == ["gone"]
    await store.beat("here", seconds=60)
    assert await store.expired_replicas() == ["gone"]


async def test_whose_task_it_is_changes_with_the_task(store: EngineStore) -> None:
    first = record(holder="one")
    await store.create(first)
    await store.append(following(first, holder="two"), updates=[])
    assert await store.expired_replicas() == ["two"]
    assert [each.id for each in await store.unsettled(holders=["two"])] == ["t"]


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        pytest.param(None, {"e1", "e2", "e3", "running"}, id="any number"),
        pytest.param(3, {"e1", "e2", "e3", "running"}, id="as many as there are"),
        pytest.param(2, {"e2", "e3", "running"}, id="one fewer"),
        pytest.param(0, {"running"}, id="none"),
    ],
)
async def test_the_ended_tasks_beyond_a_number_are_forgotten_oldest_first(
    store: EngineStore, keep: int | None, left: set[str]
) -> None:
    for n in (2, 3, 1):  # not in the order of their last changes
        await ended(store, f"e{n}", updated=10.0 + n)
    await store.create(record("running", updated=1.0))
    assert await store.prune(before=5.0, keep=keep) == 4 - len(left)
    assert {each for each in ("e1", "e2", "e3", "running") if await store.get(each)} == left


async def test_a_forgotten_task_takes_all_that_is_its_own(store: EngineStore) -> None:
    await store.create(record())
    await store.put_push(push())
    await store.append(following(record(), state=TaskState.FAILED), updates=[UPDATE], key=("/s", "1"))
    assert await store.prune(before=5.0) == 1
    assert await store.pushes("t") == []
    assert await store.changes("t") == []
    await store.create(record())
    assert await store.changes("t") == []
    assert await store.append(following(record()), updates=[], key=("/s", "1"))


@pytest.mark.holds_the_loop("it ends 1,200 tasks")
async def test_many_are_forgotten_at_once(store: EngineStore) -> None:
    for n in range(0, 1200, 100):
        await asyncio.gather(*(ended(store, f"t{n + k}", updated=float(n + k)) for k in range(100)))
    assert await store.prune(before=1100.0, keep=50) == 1150
    assert await store.get("t1149") is None
    assert await store.get("t1150") is not None
