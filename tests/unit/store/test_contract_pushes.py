"""The contract of every store: push configurations and their progress."""

import asyncio
from dataclasses import replace

import pytest
from tests.parts.store_records import UPDATE, EngineStore, following, push, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import TaskConflictError
from lambdaagent.store.records import Push


@pytest.fixture
async def changed(store: EngineStore) -> EngineStore:
    """Creates a task at version 1."""
    await store.create(record())
    await store.append(following(record()), updates=[UPDATE])
    return store


async def claimed(store: EngineStore, now: float = 10.0, until: float = 20.0, limit: int = 10) -> list[Push]:
    return await store.claim_pushes(now=now, until=until, limit=limit)


async def test_pushes_are_listed_in_the_order_in_which_they_were_first_put(changed: EngineStore) -> None:
    full = push("z", scheme="Bearer", credentials="c", sent=1, attempts=2, due=3.5, dead="why")
    for each in (full, push("a"), push("m")):
        await changed.put_push(each)
    await changed.put_push(push("a", url="https://new.example/"))
    assert await changed.pushes("t") == [full, push("a", url="https://new.example/"), push("m")]
    assert await changed.pushes("nobody") == []


async def test_a_push_of_no_task_is_a_conflict(store: EngineStore) -> None:
    with pytest.raises(TaskConflictError, match="no longer exists"):
        await store.put_push(push())


async def test_what_replaces_a_push_goes_on_where_that_one_had_got(changed: EngineStore) -> None:
    await changed.put_push(push())
    await changed.settle_push(push(sent=1, attempts=3, due=99.0, dead="gone"))
    await changed.put_push(push(token="new", sent=0))
    assert await changed.pushes("t") == [push(token="new", sent=1)]


async def test_a_push_is_dropped_once(changed: EngineStore) -> None:
    await changed.put_push(push())
    await changed.put_push(push("other"))
    assert await changed.drop_push("t", "p")
    assert not await changed.drop_push("t", "p")
    assert not await changed.drop_push("nobody", "p")
    assert await changed.pushes("t") == [push("other")]
    await changed.settle_push(push(sent=1))
    assert await changed.pushes("t") == [push("other")]


@pytest.mark.parametrize(
    ("made", "found"),
    [
        pytest.param({}, True, id="behind"),
        pytest.param({"due": 10.0}, True, id="due now"),
        pytest.param({"due": 10.5}, False, id="due later"),
        pytest.param({"sent": 1}, False, id="all has arrived"),
        pytest.param({"dead": "gone"}, False, id="given up"),
    ],
)
async def test_claimed_are_living_ones_that_are_due_and_behind(
    changed: EngineStore, made: dict[str, object], found: bool
) -> None:
    made_push = replace(push(), **made)  # type: ignore[arg-type]
    await changed.put_push(made_push)
    assert await claimed(changed) == ([made_push] if found else [])


async def test_what_one_has_claimed_nobody_else_gets_before_the_time_is_over(changed: EngineStore) -> None:
    await changed.put_push(push())
    assert len(await claimed(changed, now=10.0, until=20.0)) == 1
    assert await claimed(changed, now=19.0) == []
    assert len(await claimed(changed, now=20.0, until=30.0)) == 1


async def test_of_many_who_claim_at_once_each_gets_others(changed: EngineStore) -> None:
    for n in range(20):
        await changed.put_push(push(f"p{n}"))
    found = await asyncio.gather(*(claimed(changed, limit=5) for _ in range(8)))
    ids = [each.id for some in found for each in some]
    assert len(ids) == len(set(ids))
    assert all(len(some) <= 5 for some in found)
    left = await claimed(changed, limit=50)
    assert {*ids, *(each.id for each in left)} == {f"p{n}" for n in range(20)}


async def test_a_push_that_is_settled_is_claimed_again_when_the_task_changes(changed: EngineStore) -> None:
    await changed.put_push(push())
    await claimed(changed)
    await changed.settle_push(push(sent=1))
    assert await changed.pushes("t") == [push(sent=1)]
    assert await claimed(changed) == []
    await changed.append(replace(record(), version=2), updates=[UPDATE])
    assert await claimed(changed) == [push(sent=1)]


async def test_one_that_failed_is_claimed_again_when_it_is_due(changed: EngineStore) -> None:
    await changed.put_push(push())
    await claimed(changed)
    await changed.settle_push(push(attempts=1, due=15.0))
    assert await claimed(changed, now=14.0) == []
    assert await claimed(changed, now=15.0) == [push(attempts=1, due=15.0)]


async def test_the_end_of_a_task_is_told_and_then_nothing_more(changed: EngineStore) -> None:
    await changed.put_push(push(sent=1))
    await changed.append(replace(record(), version=2, state=TaskState.COMPLETED), updates=[UPDATE])
    assert await claimed(changed) == [push(sent=1)]
    await changed.settle_push(push(sent=2))
    assert await claimed(changed, now=100.0) == []


async def test_a_push_that_was_replaced_after_the_end_is_told_what_it_missed(changed: EngineStore) -> None:
    await changed.append(replace(record(), version=2, state=TaskState.COMPLETED), updates=[UPDATE])
    await changed.put_push(push(sent=1))
    await changed.settle_push(push(sent=1, attempts=12, dead="gone"))
    await changed.put_push(push(sent=2))
    assert await claimed(changed) == [push(sent=1)]


@pytest.mark.parametrize("together", [False, True], ids=["of several tasks", "of one task"])
async def test_pushes_that_are_due_again_and_again_keep_no_other_back(store: EngineStore, together: bool) -> None:
    names = {("t" if together else f"t{number}", f"p{number}") for number in range(5)}
    for task_id in {task_id for task_id, _ in names}:
        await store.create(record(task_id))
        await store.append(following(record(task_id)), updates=[UPDATE])
    for task_id, name in sorted(names):
        await store.put_push(replace(push(name), task_id=task_id))
    seen = set[tuple[str, str]]()
    for turn in range(3):
        for each in await claimed(store, now=10.0 + turn, until=60.0, limit=2):
            seen.add((each.task_id, each.id))
            await store.settle_push(replace(each, due=10.0 + turn))
    assert seen == names
