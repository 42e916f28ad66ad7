"""The contract of every store: deliveries of events to agents."""

import asyncio

import pytest
from tests.parts.store_records import EngineStore

from lambdaagent.store.records import Key


async def recorded(store: EngineStore, id_: str = "1", *, source: str = "/s", now: float = 1.0, **whose: str) -> bool:
    whose = {"namespace": "shop", "agent": "cart", **whose}
    return await store.record_delivery(**whose, key=(source, id_), now=now)


async def newest(store: EngineStore, *, since: float = 0.0, limit: int = 100) -> list[Key]:
    return await store.deliveries("shop", "cart", since=since, limit=limit)


async def test_an_event_is_recorded_once_per_agent(store: EngineStore) -> None:
    assert await recorded(store)
    assert not await recorded(store, now=2.0)
    assert await recorded(store, agent="till")
    assert await recorded(store, namespace="bank")
    assert await recorded(store, "2")
    assert await recorded(store, source="/other")
    assert sorted(await newest(store)) == [("/other", "1"), ("/s", "1"), ("/s", "2")]


async def test_source_and_id_are_not_run_together(store: EngineStore) -> None:
    assert await recorded(store, "bc", source="a")
    assert await recorded(store, "c", source="ab")
    assert await recorded(store, "c", source="b", agent="carta")


async def test_the_newest_come_first_since_a_time_up_to_a_number(store: EngineStore) -> None:
    for n in (3, 1, 4, 2):
        await recorded(store, str(n), now=float(n))
    await recorded(store, "1", now=9.0)  # known: it keeps the time at which it was first recorded
    await recorded(store, "5", now=5.0, agent="till")
    assert [id_ for _, id_ in await newest(store)] == ["4", "3", "2", "1"]
    assert [id_ for _, id_ in await newest(store, since=2.0)] == ["4", "3", "2"]
    assert [id_ for _, id_ in await newest(store, limit=2)] == ["4", "3"]
    assert await store.deliveries("shop", "nobody", since=0.0, limit=10) == []


async def test_of_one_event_many_times_at_once_one_is_new(store: EngineStore) -> None:
    outcomes = await asyncio.gather(*(recorded(store, str(n % 10)) for n in range(200)))
    assert outcomes == [True] * 10 + [False] * 190


@pytest.mark.holds_the_loop("it begins 1,200 writes at once")
async def test_what_is_pruned_is_new_again(store: EngineStore) -> None:
    await recorded(store, "late", now=10.0)
    await asyncio.gather(*(recorded(store, str(n), now=float(n % 9)) for n in range(1200)))
    assert await store.prune_deliveries(before=9.0) == 1200
    assert await store.prune_deliveries(before=9.0) == 0
    assert await recorded(store, "7")
    assert not await recorded(store, "late")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\0b", id="NUL"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param("\udc80", id="no Unicode"),
        pytest.param("\U0001f642\u2028'\"\\;--", id="special"),
        pytest.param("", id="empty"),
    ],
)
async def test_senders_may_say_anything(store: EngineStore, text: str) -> None:
    assert await recorded(store, text, source=text)
    assert not await recorded(store, text, source=text)
    assert await newest(store) == [(text, text)]
