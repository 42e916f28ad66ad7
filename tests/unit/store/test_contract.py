"""The contract of every store: tasks and their logs."""

import asyncio
from dataclasses import replace

import pytest
from tests.parts.store_records import UPDATE, EngineStore, following, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import StoreError, TaskConflictError, UnfitError
from lambdaagent.store.records import TaskRecord


async def test_a_created_task_is_found_as_it_was(store: EngineStore) -> None:
    assert await store.get("t") is None
    await store.create(record(skill="say", owner="ann"))
    assert await store.get("t") == record(skill="say", owner="ann")


async def test_an_id_is_taken_once(store: EngineStore) -> None:
    await store.create(record())
    with pytest.raises(TaskConflictError):
        await store.create(record(owner="other"))
    assert await store.get("t") == record()


async def test_a_change_replaces_the_snapshot_and_joins_the_log(store: EngineStore) -> None:
    first = record()
    await store.create(first)
    second = following(first, state=TaskState.COMPLETED, updated=2.0, task={"id": "t", "done": True})
    assert await store.append(second, updates=[UPDATE, {"x": 1}])
    assert await store.get("t") == second
    assert [(change.version, list(change.updates)) for change in await store.changes("t")] == [(1, [UPDATE, {"x": 1}])]
    assert await store.changes("t", after=1) == []
    assert await store.changes("nobody") == []


async def test_an_event_changes_a_task_once_whoever_sends_it_again(store: EngineStore) -> None:
    await store.create(record())
    one = following(record())
    assert await store.append(one, updates=[UPDATE], key=("/s", "1"))
    assert not await store.append(following(one), updates=[UPDATE], key=("/s", "1"))
    assert await store.append(following(one), updates=[UPDATE], key=("/s", "2"))
    assert await store.append(replace(one, version=3), updates=[UPDATE], key=("/other", "1"))
    assert len(await store.changes("t")) == 3


@pytest.mark.parametrize("version", [0, 2])
async def test_a_change_to_another_version_is_a_conflict_and_writes_nothing(store: EngineStore, version: int) -> None:
    await store.create(record())
    with pytest.raises(TaskConflictError, match="version 0"):
        await store.append(record(version=version, owner="other"), updates=[UPDATE])
    assert await store.get("t") == record()
    assert await store.changes("t") == []


async def test_a_change_to_no_task_is_a_conflict(store: EngineStore) -> None:
    with pytest.raises(TaskConflictError, match="no longer exists"):
        await store.append(record(version=1), updates=[UPDATE])


async def test_of_many_writers_of_one_version_one_wins(store: EngineStore) -> None:
    await store.create(record())
    attempts = [store.append(following(record(), updated=float(n)), updates=[{"n": n}]) for n in range(20)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert outcomes.count(True) == 1
    assert sum(isinstance(outcome, TaskConflictError) for outcome in outcomes) == 19
    won = await store.get("t")
    assert won is not None
    assert [list(change.updates) for change in await store.changes("t")] == [[{"n": int(won.updated)}]]


async def test_concurrent_tasks_do_not_disturb_each_other(store: EngineStore) -> None:
    async def live(n: int) -> None:
        first = record(f"t{n}", task={"n": n})
        await store.create(first)
        assert await store.append(following(first, task={"n": n, "done": True}), updates=[{"n": n}])

    await asyncio.gather(*(live(n) for n in range(300)))
    for n in (0, 150, 299):
        found = await store.get(f"t{n}")
        assert found is not None
        assert found.task == {"n": n, "done": True}


async def test_what_can_change_of_a_task_is_all_stored(store: EngineStore) -> None:
    first = record(holder="one", deadline=7.5, remote="theirs")
    await store.create(first)
    assert await store.get("t") == first
    second = following(first, holder="two", deadline=8.5, remote="other", updated=2.0, task={"id": "t", "é": "\u2028"})
    await store.append(second, updates=[])
    assert await store.get("t") == second


async def test_every_version_has_its_entry_in_the_log(store: EngineStore) -> None:
    latest = record()
    await store.create(latest)
    for updates in ([], [UPDATE], []):
        latest = following(latest)
        await store.append(latest, updates=updates)
    log = await store.changes("t")
    assert [(change.version, list(change.updates)) for change in log] == [(1, []), (2, [UPDATE]), (3, [])]
    assert await store.changes("t", after=2) == log[2:]


async def test_a_request_makes_one_task_however_often_it_comes(store: EngineStore) -> None:
    assert await store.create(record("a"), idempotency_key="key") is None
    assert await store.create(record("b"), idempotency_key="key") == "a"
    assert await store.create(record("c"), idempotency_key="another") is None
    assert await store.create(record("d"), idempotency_key=None) is None
    assert await store.create(record("e"), idempotency_key=None) is None
    assert await store.get("b") is None


@pytest.mark.parametrize(
    "whose",
    [
        pytest.param({"owner": "ann"}, id="another owner"),
        pytest.param({"agent": "till"}, id="another agent"),
        pytest.param({"namespace": "bank"}, id="another namespace"),
    ],
)
async def test_the_same_word_of_somebody_else_is_another_request(store: EngineStore, whose: dict[str, str]) -> None:
    await store.create(record("a"), idempotency_key="key")
    assert await store.create(record("b", **whose), idempotency_key="key") is None


async def test_of_the_same_request_many_times_at_once_one_makes_the_task(store: EngineStore) -> None:
    answers = await asyncio.gather(*(store.create(record(f"t{n}"), idempotency_key="key") for n in range(20)))
    made = [n for n, answer in enumerate(answers) if answer is None]
    assert len(made) == 1
    assert {answer for answer in answers if answer is not None} == {f"t{made[0]}"}


async def test_a_request_is_remembered_as_long_as_its_task(store: EngineStore) -> None:
    await store.create(record("a", state=TaskState.COMPLETED), idempotency_key="key")
    assert await store.prune(before=5.0) == 1
    assert await store.create(record("b"), idempotency_key="key") is None


async def test_an_id_that_is_taken_does_not_disturb_the_others_that_come_with_it(store: EngineStore) -> None:
    await store.create(record("t3"))
    tasks = [store.create(record(f"t{n}", owner="ann")) for n in range(6)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, TaskConflictError) for outcome in outcomes] == [n == 3 for n in range(6)]
    assert await store.get("t5") == record("t5", owner="ann")


async def test_a_conflict_does_not_disturb_the_changes_that_come_with_it(store: EngineStore) -> None:
    for n in range(3):
        await store.create(record(f"t{n}"))
    changes = [store.append(replace(record(f"t{n}"), version=1 if n != 1 else 5), updates=[]) for n in range(3)]
    outcomes = await asyncio.gather(
        *changes, store.append(record("none", version=1), updates=[]), return_exceptions=True
    )
    assert [outcome if outcome is True else type(outcome) for outcome in outcomes] == [
        True, TaskConflictError, True, TaskConflictError,
    ]  # fmt: skip


async def test_changes_of_one_task_that_come_together_are_taken_in_their_order(store: EngineStore) -> None:
    await store.create(record())
    changes = [store.append(record(version=version), updates=[{"n": version}]) for version in (1, 2, 3)]
    assert await asyncio.gather(*changes) == [True, True, True]
    assert [change.version for change in await store.changes("t")] == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\0b", id="NUL"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param("🙂\u2028'\"\\;--", id="special"),
        pytest.param("", id="empty"),
    ],
)
async def test_clients_may_say_anything(store: EngineStore, text: str) -> None:
    first = record(context_id=text, task={"text": text})
    await store.create(first)
    found = await store.get("t")
    assert found is not None
    assert found.task == {"text": text}
    one = following(first)
    assert await store.append(one, updates=[], key=("/s", text))
    assert not await store.append(following(one), updates=[], key=("/s", text))
    assert await store.get(text or "none") is None


async def test_what_cannot_be_written_fails_alone(store: EngineStore) -> None:
    """A lone surrogate comes from a header that is no UTF-8."""

    async def make(n: int) -> TaskRecord:
        made = record(f"t{n}", context_id="\udc80" if n == 7 else "c")
        await store.create(made)
        return made

    outcomes = await asyncio.gather(*(make(n) for n in range(20)), return_exceptions=True)
    assert {n for n, outcome in enumerate(outcomes) if isinstance(outcome, StoreError)} <= {7}
    assert await store.get("t19") == record("t19")


LONE = {"mediaType": "app/\udcff"}


async def test_what_is_no_json_is_kept_by_no_store(store: EngineStore) -> None:
    """Whoever lists tasks gets all of them in one text: one that cannot be written would hide the others."""
    with pytest.raises(UnfitError):
        await store.create(record("bad", task={"id": "bad", "history": [LONE]}))
    first = record("good")
    await store.create(first)
    with pytest.raises(UnfitError):
        await store.append(following(first, task={**first.task, "artifacts": [LONE]}), updates=[LONE])
    with pytest.raises(UnfitError):
        await store.append(following(first, task={**first.task, "status": LONE}), updates=[])
    assert await store.get("good") == first
    assert await store.get("bad") is None
