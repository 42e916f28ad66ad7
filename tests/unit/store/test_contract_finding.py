"""The contract of every store: lists of tasks, page by page."""

import pytest
from tests.parts.store_records import EngineStore, following, record

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import Page, TaskQuery


def listing(**more: object) -> TaskQuery:
    fields: dict[str, object] = {"namespace": "shop", "agent": "cart", "owner": "anonymous"}
    return TaskQuery(**{**fields, **more})  # type: ignore[arg-type]


def ids(page: Page) -> list[str]:
    return [each.id for each in page.records]


async def test_the_newest_change_comes_first_and_equals_by_id(store: EngineStore) -> None:
    for task_id, updated in (("b", 2.0), ("a", 2.0), ("d", 1.0), ("c", 3.0)):
        await store.create(record(task_id, updated=updated))
    assert ids(await store.find(listing())) == ["c", "b", "a", "d"]
    await store.append(following(record("d", updated=4.0)), updates=[])
    found = await store.find(listing())
    assert ids(found) == ["d", "c", "b", "a"]
    assert (found.total, found.more) == (4, False)
    assert found.records[0] == following(record("d", updated=4.0))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 50])
async def test_pages_hold_every_task_once(store: EngineStore, size: int) -> None:
    for n in range(5):
        await store.create(record(f"t{n}", updated=float(n // 2)))
    seen: list[str] = []
    after = None
    while True:
        page = await store.find(listing(limit=size, after=after))
        assert page.total == 5
        seen += ids(page)
        if not page.more:
            break
        assert len(page.records) == size
        after = (page.records[-1].updated, page.records[-1].id)
    assert seen == ["t4", "t3", "t2", "t1", "t0"]


async def test_a_task_that_changes_meanwhile_does_not_shift_the_pages(store: EngineStore) -> None:
    for n in range(4):
        await store.create(record(f"t{n}", updated=float(n)))
    first = await store.find(listing(limit=2))
    await store.append(following(record("t0", updated=9.0)), updates=[])
    last = first.records[-1]
    assert ids(await store.find(listing(limit=2, after=(last.updated, last.id)))) == ["t1"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param({"agent": "till"}, ["other agent"], id="agent"),
        pytest.param({"owner": "ann"}, ["other owner"], id="owner"),
        pytest.param({"namespace": "bank"}, ["other namespace"], id="namespace"),
        pytest.param({"namespace": "nowhere"}, [], id="no such namespace"),
        pytest.param({"context_id": "talk"}, ["talk 2", "talk 1"], id="context"),
        pytest.param({"context_id": ""}, [], id="no context is a context too"),
        pytest.param({"state": TaskState.COMPLETED}, ["talk 2"], id="state"),
        pytest.param({"state": TaskState.REJECTED}, [], id="a state that no task is in"),
        pytest.param({"context_id": "talk", "state": TaskState.WORKING}, ["talk 1"], id="context and state"),
        pytest.param({"updated_from": 2.0}, ["plain", "talk 2"], id="since then, including"),
        pytest.param({"updated_from": 2.0, "after": (3.0, "plain")}, ["talk 2"], id="since then, next page"),
        pytest.param({"state": TaskState.WORKING, "after": (3.0, "plain")}, ["talk 1"], id="state, next page"),
    ],
)
async def test_a_list_holds_what_was_asked_for(store: EngineStore, asked: dict[str, object], found: list[str]) -> None:
    await store.create(record("talk 1", context_id="talk", updated=1.0))
    await store.create(record("talk 2", context_id="talk", updated=2.0, state=TaskState.COMPLETED))
    await store.create(record("plain", updated=3.0))
    await store.create(record("other agent", agent="till", updated=2.0))
    await store.create(record("other owner", owner="ann", updated=2.0))
    await store.create(record("other namespace", namespace="bank", updated=2.0))
    page = await store.find(listing(**asked))
    assert ids(page) == found
    assert page.more is False
    if "after" not in asked:
        assert page.total == len(found)


async def test_the_total_is_of_all_pages(store: EngineStore) -> None:
    for n in range(7):
        await store.create(record(f"t{n}", updated=float(n)))
    page = await store.find(listing(limit=3, after=(2.0, "t2")))
    assert (ids(page), page.total, page.more) == (["t1", "t0"], 7, False)


@pytest.mark.holds_the_loop("it makes 90 MB of tasks")
async def test_a_page_of_very_large_tasks_is_cut_and_none_is_left_out(store: EngineStore) -> None:
    for n in range(6):
        await store.create(record(f"t{n}", updated=float(n), task={"text": "x" * 15_000_000}))
    seen: list[str] = []
    sizes, after = [], None
    while True:
        page = await store.find(listing(after=after))
        assert page.total == 6
        seen += ids(page)
        sizes.append(len(page.records))
        if not page.more:
            break
        after = (page.records[-1].updated, page.records[-1].id)
    assert seen == ["t5", "t4", "t3", "t2", "t1", "t0"]
    # Memory reads nothing.
    assert sizes == ([6] if isinstance(store, MemoryStore) else [3, 3])


async def test_unsettled_tasks_of_an_owner_are_counted(store: EngineStore) -> None:
    for task_id, more in (
        ("a", {}),
        ("b", {}),
        ("c", {"owner": "other"}),
        ("d", {"agent": "other"}),
        ("e", {"namespace": "other"}),
        ("f", {"state": TaskState.INPUT_REQUIRED}),
        ("g", {"state": TaskState.COMPLETED}),
        ("h", {"state": TaskState.SUBMITTED}),
    ):
        await store.create(record(task_id, **more))
    assert await store.working("shop", "cart", "anonymous", most=10) == 3
    assert await store.working("shop", "cart", "anonymous", most=1) >= 1
    assert await store.working("shop", "cart", "nobody", most=10) == 0
    await store.append(following(record("a"), state=TaskState.COMPLETED), updates=[])
    assert await store.working("shop", "cart", "anonymous", most=10) == 2
