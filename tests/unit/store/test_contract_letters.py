"""What every store does, whatever it keeps its tasks in: dead letters."""

import asyncio

from tests.unit.store.records import Store, letter


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


async def test_of_one_letter_many_times_at_once_one_is_kept(store: Store) -> None:
    assert sorted(await asyncio.gather(*(store.bury(letter()) for _ in range(10)))) == [False] * 9 + [True]


async def test_a_letter_may_hold_anything(store: Store) -> None:
    strange = letter(reason="no\nreason", data=bytes(range(256)), attributes={"id": "i", "source": "s", "ok": True})
    assert await store.bury(strange)
    assert await store.letters("shop") == [strange]
