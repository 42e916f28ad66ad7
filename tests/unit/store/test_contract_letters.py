"""The contract of every store: dead letters."""

import asyncio

import pytest
from tests.parts.store_records import EngineStore, letter

from lambdaagent.store.records import Letters


async def test_a_dead_letter_is_kept_once_per_agent_and_namespace(store: EngineStore) -> None:
    assert await store.add_dead_letter(letter())
    assert not await store.add_dead_letter(letter(received=4.0))
    assert await store.add_dead_letter(letter(agent="cart"))
    assert await store.add_dead_letter(letter(namespace="bank"))
    assert await store.find_letters(Letters("shop")) == [letter(agent="cart"), letter()]
    assert await store.find_letters(Letters("shop", limit=1)) == [letter(agent="cart")]


async def test_letters_that_are_no_events_are_all_kept(store: EngineStore) -> None:
    for _ in range(2):
        assert await store.add_dead_letter(letter(attributes={"content-type": "x"}))
    assert len(await store.find_letters(Letters("shop"))) == 2


async def test_of_one_letter_many_times_at_once_one_is_kept(store: EngineStore) -> None:
    assert sorted(await asyncio.gather(*(store.add_dead_letter(letter()) for _ in range(10)))) == [False] * 9 + [True]


async def test_a_letter_may_hold_anything(store: EngineStore) -> None:
    strange = letter(reason="no\nreason", data=bytes(range(256)), attributes={"id": "i", "source": "s", "ok": True})
    assert await store.add_dead_letter(strange)
    assert await store.find_letters(Letters("shop")) == [strange]


async def test_all_that_is_said_of_a_death_is_kept(store: EngineStore) -> None:
    said = letter(code=503, destination="http://cart.shop.svc/", attempts=4)
    await store.add_dead_letter(said)
    [found] = await store.find_letters(Letters())
    assert found == said
    assert found.id
    assert await store.letter(found.id) == said


async def ids(store: EngineStore, **wanted: object) -> list[str]:
    found = await store.find_letters(Letters(**wanted))  # type: ignore[arg-type]
    return [str(each.attributes["id"]) for each in found]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, "54321", id="all"),
        pytest.param({"namespace": "shop"}, "4321", id="a namespace"),
        pytest.param({"namespace": "none"}, "", id="another namespace"),
        pytest.param({"agent": "cart"}, "532", id="an agent"),
        pytest.param({"agent": ""}, "1", id="nobody's"),
        pytest.param({"namespace": "shop", "agent": "cart"}, "32", id="an agent of a namespace"),
        pytest.param({"type": "a.b"}, "31", id="a type"),
        pytest.param({"type": "b"}, "2", id="not a part of a type"),
        pytest.param({"type": 'x","type":"b'}, "", id="no trick"),
        pytest.param({"type": "\u00e9\0"}, "4", id="a strange type"),
        pytest.param({"received_from": 3.0}, "543", id="newer"),
        pytest.param({"received_before": 3.0}, "21", id="older"),
        pytest.param({"received_from": 2.0, "received_before": 4.0, "type": "a.b"}, "3", id="all together"),
        pytest.param({"limit": 2}, "54", id="some"),
    ],
)
async def test_letters_are_found_by_what_they_are(store: EngineStore, wanted: dict[str, object], found: str) -> None:
    for number, (namespace, agent, type_) in enumerate(
        [("shop", "", "a.b"), ("shop", "cart", "b"), ("shop", "cart", "a.b"), ("shop", "till", "\u00e9\0"),
         ("bank", "cart", 'x","type":"a.b')],
        start=1,
    ):  # fmt: skip
        attributes = {"id": str(number), "source": "/s", "xtype": "b", "subject": '"type":"a.b"', "type": type_}
        await store.add_dead_letter(
            letter(namespace=namespace, agent=agent, received=float(number), attributes=attributes)
        )
    assert "".join(await ids(store, **wanted)) == found


async def test_pages_hold_every_letter_once_also_while_some_go(store: EngineStore) -> None:
    for number in range(5):
        await store.add_dead_letter(letter(attributes={"id": str(number), "source": "/s"}))
    first = await store.find_letters(Letters(limit=2))
    await store.drop_letters([first[-1].id])
    assert await ids(store, limit=2, after=first[-1].id) == ["2", "1"]
    assert await ids(store, after="none") == []


async def test_a_letter_is_dropped_once_and_its_id_is_never_given_again(store: EngineStore) -> None:
    await store.add_dead_letter(letter())
    await store.add_dead_letter(letter(agent="cart"))
    newest, oldest = await store.find_letters(Letters())
    assert await store.drop_letters([newest.id, "none", "9" * 30, "-1"]) == 1
    assert await store.drop_letters([newest.id]) == 0
    assert await store.letter(newest.id) is None
    assert await store.letter("none") is None
    assert await store.find_letters(Letters()) == [oldest]
    assert await store.add_dead_letter(letter(agent="cart"))
    again = (await store.find_letters(Letters()))[0]
    assert again.id not in (newest.id, oldest.id)


@pytest.mark.holds_the_loop("it begins 700 writes at once")
async def test_very_many_are_dropped_at_once(store: EngineStore) -> None:
    await asyncio.gather(
        *(store.add_dead_letter(letter(attributes={"id": str(n), "source": "/s"})) for n in range(700))
    )
    assert await store.drop_letters([each.id for each in await store.find_letters(Letters(limit=1000))]) == 700


async def test_letters_older_than_a_time_are_deleted(store: EngineStore) -> None:
    for number in range(1, 4):
        await store.add_dead_letter(letter(received=float(number), attributes={"id": str(number), "source": "/s"}))
    assert await store.prune_letters(before=3.0) == 2
    assert await store.prune_letters(before=3.0) == 0
    assert await ids(store) == ["3"]


@pytest.mark.holds_the_loop("it begins 700 writes at once")
async def test_very_many_letters_grow_old_at_once(store: EngineStore) -> None:
    await asyncio.gather(
        *(store.add_dead_letter(letter(attributes={"id": str(n), "source": "/s"})) for n in range(700))
    )
    assert await store.prune_letters(before=4.0) == 700


async def test_what_a_letter_says_of_its_destination_is_kept(store: EngineStore) -> None:
    said = letter(attributes={"id": "1", "source": "/s", "knativeerrordest": "http://e/x", "knativeerrordata": "no"})
    await store.add_dead_letter(said)
    assert await store.find_letters(Letters()) == [said]


async def test_beside_a_freed_letter_one_of_the_same_key_is_buried(store: EngineStore) -> None:
    await store.add_dead_letter(letter())
    [first] = await store.find_letters(Letters())
    assert await store.free_letter(first.id)
    assert not await store.free_letter("none")
    assert await store.add_dead_letter(letter(received=4.0))
    assert not await store.add_dead_letter(letter(received=5.0))
    assert [each.received for each in await store.find_letters(Letters())] == [4.0, 3.0]
    assert await store.drop_letters([first.id]) == 1
    assert await store.find_letters(Letters()) == [letter(received=4.0)]
