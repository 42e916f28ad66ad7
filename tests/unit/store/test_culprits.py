"""A write that a store cannot keep fails alone: the other writes of its batch succeed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.store_records import UPDATE, EngineStore, following, push, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import StoreError, UnfitError
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.records import TaskRecord
from lambdaagent.store.sqlite.store import SqliteStore


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineStore]:
    opened: EngineStore
    if request.param == "sqlite":
        opened = await SqliteStore.open(tmp_path / "tasks.db")
    else:
        opened = await PostgresStore.open(request.getfixturevalue("database_url"))
    yield opened
    await opened.close()


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


BODIES = {
    "nested too deep": {"data": nested(300)},
    "no JSON": {"data": object()},
    "a number beyond 64 bits": {"data": 2**64},
    "a key that is no text": {"data": {(1, 2): 3}},
    "half a surrogate pair": {"data": "\ud800"},
}
IDS = {
    "half a surrogate pair in an id": {"context_id": "\ud800"},
    "half a surrogate pair in a skill": {"skill": "\udfff"},
}


@pytest.mark.parametrize(
    "bad",
    [
        *(pytest.param({"task": body}, id=name) for name, body in BODIES.items()),
        *(pytest.param(more, id=name) for name, more in IDS.items()),
    ],
)
@pytest.mark.parametrize("place", [0, 11, 24], ids=["first", "in the middle", "last"])
async def test_of_tasks_that_are_created_together_only_the_culprit_fails(
    store: EngineStore, bad: dict[str, Any], place: int
) -> None:
    records = [record(f"t{n}") for n in range(24)]
    records.insert(place, record("bad", **bad))
    outcomes = await asyncio.gather(*(store.create(each) for each in records), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [place]
    assert isinstance(outcomes[place], UnfitError)
    assert await store.get("bad") is None
    assert all([await store.get(f"t{n}") for n in range(24)])


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BODIES.items()])
@pytest.mark.parametrize("where", ["snapshot", "log"])
async def test_of_changes_that_are_written_together_only_the_culprit_fails(
    store: EngineStore, body: dict[str, Any], where: str
) -> None:
    records = [record(f"t{n}") for n in range(25)]
    for each in records:
        await store.create(each)

    async def end(before: TaskRecord) -> bool:
        bad = before.id == "t12"
        after = following(before, state=TaskState.COMPLETED, **({"task": body} if bad and where == "snapshot" else {}))
        return await store.append(after, updates=[body if bad and where == "log" else UPDATE])

    outcomes = await asyncio.gather(*map(end, records), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not True] == [12]
    assert isinstance(outcomes[12], UnfitError)
    found = await store.get("t12")
    assert found is not None and found.version == 0
    # The task itself is none the worse: its next change is kept.
    assert await store.append(following(records[12], state=TaskState.FAILED), updates=[UPDATE])


async def test_two_culprits_fail_and_nobody_else(store: EngineStore) -> None:
    records = [record(f"t{n}", **({"task": {"data": object()}} if n in (3, 20) else {})) for n in range(25)]
    outcomes = await asyncio.gather(*(store.create(each) for each in records), return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [3, 20]


async def test_an_idempotency_key_too_long_for_an_index_fails_alone(store: EngineStore) -> None:
    idempotency_key = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(4000))
    outcomes = await asyncio.gather(
        *(store.create(record(f"t{n}"), idempotency_key=idempotency_key if n == 5 else None) for n in range(12)),
        return_exceptions=True,
    )
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, StoreError)] in ([], [5])
    assert all([await store.get(f"t{n}") for n in range(12) if n != 5])


async def test_with_a_push_configuration_that_cannot_be_kept_the_task_is_not_created(store: EngineStore) -> None:
    with pytest.raises(UnfitError):
        await store.create(record("t"), push=push(url="\ud800"))
    assert await store.get("t") is None
    assert await store.create(record("t"), push=push()) is None
    assert [each.id for each in await store.pushes("t")] == ["p"]
