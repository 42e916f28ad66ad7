"""What every store does, whatever it keeps its tasks in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import ConflictError
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import DeadLetter, TaskRecord
from lambdaagent.store.sqlite import SqliteStore

Store = MemoryStore | SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "tasks.db")
    yield opened
    await opened.close()


def record(task_id: str = "t", **more: Any) -> TaskRecord:
    fields: dict[str, Any] = {
        "id": task_id, "context_id": "c", "namespace": "shop", "agent": "cart", "skill": None, "owner": "anonymous",
        "version": 0, "state": TaskState.WORKING, "created": 1.0, "updated": 1.0,
        "task": {"id": task_id, "n": 2**53 + 1},
    }  # fmt: skip
    return TaskRecord(**{**fields, **more})


def following(before: TaskRecord, **more: Any) -> TaskRecord:
    return replace(before, version=before.version + 1, **more)


UPDATE = {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}


async def test_a_created_task_is_found_as_it_was(store: Store) -> None:
    assert await store.get("t") is None
    await store.create(record(skill="say", owner="ann"))
    assert await store.get("t") == record(skill="say", owner="ann")


async def test_an_id_is_taken_once(store: Store) -> None:
    await store.create(record())
    with pytest.raises(ConflictError):
        await store.create(record(owner="other"))
    assert await store.get("t") == record()


async def test_a_change_replaces_the_snapshot_and_joins_the_log(store: Store) -> None:
    first = record()
    await store.create(first)
    second = following(first, state=TaskState.COMPLETED, updated=2.0, task={"id": "t", "done": True})
    assert await store.append(second, updates=[UPDATE, {"x": 1}])
    assert await store.get("t") == second
    assert [(change.version, list(change.updates)) for change in await store.changes("t")] == [(1, [UPDATE, {"x": 1}])]
    assert await store.changes("t", after=1) == []
    assert await store.changes("nobody") == []


async def test_an_event_changes_a_task_once_whoever_sends_it_again(store: Store) -> None:
    await store.create(record())
    one = following(record())
    assert await store.append(one, updates=[UPDATE], key=("/s", "1"))
    assert not await store.append(following(one), updates=[UPDATE], key=("/s", "1"))
    assert await store.append(following(one), updates=[UPDATE], key=("/s", "2"))
    assert await store.append(replace(one, version=3), updates=[UPDATE], key=("/other", "1"))
    assert len(await store.changes("t")) == 3


@pytest.mark.parametrize("version", [0, 2])
async def test_a_change_to_another_version_is_a_conflict_and_writes_nothing(store: Store, version: int) -> None:
    await store.create(record())
    with pytest.raises(ConflictError, match="version 0"):
        await store.append(record(version=version, owner="other"), updates=[UPDATE])
    assert await store.get("t") == record()
    assert await store.changes("t") == []


async def test_a_change_to_no_task_is_a_conflict(store: Store) -> None:
    with pytest.raises(ConflictError, match="no task"):
        await store.append(record(version=1), updates=[UPDATE])


async def test_of_many_writers_of_one_version_one_wins(store: Store) -> None:
    await store.create(record())
    attempts = [store.append(following(record(), updated=float(n)), updates=[{"n": n}]) for n in range(20)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, ConflictError) for outcome in outcomes) == 19
    won = await store.get("t")
    assert won is not None
    assert [list(change.updates) for change in await store.changes("t")] == [[{"n": int(won.updated)}]]


async def test_concurrent_tasks_do_not_disturb_each_other(store: Store) -> None:
    async def live(n: int) -> None:
        first = record(f"t{n}", task={"n": n})
        await store.create(first)
        assert await store.append(following(first, task={"n": n, "done": True}), updates=[{"n": n}])

    await asyncio.gather(*(live(n) for n in range(300)))
    for n in (0, 150, 299):
        found = await store.get(f"t{n}")
        assert found is not None
        assert found.task == {"n": n, "done": True}


async def test_unsettled_are_those_that_work_and_not_those_that_wait_or_ended(store: Store) -> None:
    for state in (TaskState.WORKING, TaskState.SUBMITTED, TaskState.INPUT_REQUIRED, TaskState.COMPLETED):
        await store.create(record(state.v03, state=state))
    assert {each.id for each in await store.unsettled()} == {"working", "submitted"}


async def test_retention_forgets_old_tasks_that_ended_and_no_others(store: Store) -> None:
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


def letter(**more: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "namespace": "shop",
        "agent": "",
        "reason": "why",
        "received": 3.0,
        "attributes": {"id": "1", "source": "/s", "n": 7},
    }
    return DeadLetter(**{**fields, "data": b"\x00", **more})


async def test_a_dead_letter_is_kept_once_per_agent_and_namespace(store: Store) -> None:
    assert await store.bury(letter())
    assert not await store.bury(letter(received=4.0))
    assert await store.bury(letter(agent="cart"))
    assert await store.bury(letter(namespace="bank"))
    assert await store.letters("shop") == [letter(agent="cart"), letter()]
    assert await store.letters("shop", limit=1) == [letter(agent="cart")]


async def test_letters_that_are_no_events_are_all_kept(store: Store) -> None:
    for _ in range(2):
        assert await store.bury(letter(attributes={"content-type": "x"}))
    assert len(await store.letters("shop")) == 2
