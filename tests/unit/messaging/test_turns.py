"""Slow receivers keep no worker from the others, nor do all slow receivers of one owner together."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from lambdaagent.cancellation import cancel
from lambdaagent.coordination.deliveries import Delivery
from lambdaagent.coordination.message import Message
from lambdaagent.messaging.turns import Turns


def delivery(receiver: str, number: int = 0) -> Delivery:
    message = Message(id=f"m{number}", sender="ann", to=(receiver,), kind="notification", content={})
    return Delivery(message, receiver, "event", "queued", 1, 0.0, 60.0, "ann")


async def taken(turns: Turns, stack: AsyncExitStack) -> list[str]:
    """Takes as many as it may, and keeps their places."""
    found = []
    while True:
        try:
            async with asyncio.timeout(0.01):
                found.append((await stack.enter_async_context(turns.turn())).receiver)
        except TimeoutError:
            return found


async def test_owners_take_turns_and_each_leaves_room() -> None:
    turns = Turns(workers=8, of_receiver=2)
    for number in range(6):
        turns.add(delivery(f"slow-{number}"), owner="mallory")
        turns.add(delivery(f"slow-{number}"), owner="mallory")
    async with AsyncExitStack() as stack:
        assert len(await taken(turns, stack)) == 4
        for number in range(3):
            turns.add(delivery("quick", number), owner="ann")
        assert await taken(turns, stack) == ["quick", "quick"]  # a third would be too many of one receiver
        turns.add(delivery("other"), owner="ann")
        assert await taken(turns, stack) == []  # ann has her share
        turns.add(delivery("third"), owner="bob")
        assert await taken(turns, stack) == ["third"]
    async with AsyncExitStack() as stack:
        assert set(await taken(turns, stack)) >= {"quick", "other"}


async def test_a_place_that_becomes_free_is_taken_at_once() -> None:
    turns, seen = Turns(workers=4, of_receiver=1), list[int]()

    async def work() -> None:
        while True:
            async with turns.turn() as found:
                seen.append(int(found.message.id[1:]))
                await asyncio.sleep(0)

    workers = [asyncio.create_task(work()) for _ in range(4)]
    for number in range(50):
        turns.add(delivery("one", number), owner="ann")
    for _ in range(300):
        await asyncio.sleep(0)
    assert seen == list(range(50))
    await cancel(*workers)


async def test_what_waits_is_bounded_for_each_receiver_and_each_owner() -> None:
    turns = Turns(workers=4, of_receiver=1, most=100, most_of_receiver=20)
    for number in range(30):
        turns.add(delivery("one"), owner="mallory")
        turns.add(delivery(f"many-{number}"), owner="mallory")
    assert turns.room == 50
    turns.add(delivery("late"), owner="mallory")
    assert turns.room == 50
    turns.add(delivery("quick"), owner="ann")
    assert turns.room == 49
    full: Any = turns.full()
    assert {"one", "late"} <= full
    assert "quick" not in full
    assert "late" not in turns.full()  # it is tried again, once others had their turn
