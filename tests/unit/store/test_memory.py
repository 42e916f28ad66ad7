import pytest
from tests.parts.store_records import following, letter, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import StoreFullError
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import Letters


async def test_the_task_that_ended_first_makes_room() -> None:
    store = MemoryStore(max_tasks=2)
    await store.create(record("a"))
    await store.create(record("b"))
    await store.append(following(record("b"), state=TaskState.COMPLETED), updates=[])
    await store.create(record("c"))
    assert await store.get("b") is None
    assert await store.get("a") is not None


async def test_a_store_of_running_tasks_takes_no_more() -> None:
    store = MemoryStore(max_tasks=1)
    await store.create(record("a"))
    with pytest.raises(StoreFullError, match="limit of 1 tasks"):
        await store.create(record("b"))
    assert await store.get("b") is None


async def test_old_letters_make_room() -> None:
    store = MemoryStore(max_letters=1)
    await store.add_dead_letter(letter())
    await store.add_dead_letter(letter(agent="cart"))
    assert await store.find_letters(Letters("shop")) == [letter(agent="cart")]


async def test_old_deliveries_make_room() -> None:
    store = MemoryStore(max_deliveries=1)
    for id_ in ("1", "2"):
        assert await store.record_delivery(namespace="shop", agent="cart", key=("/s", id_), now=1.0)
    assert await store.deliveries("shop", "cart", since=0.0, limit=9) == [("/s", "2")]
