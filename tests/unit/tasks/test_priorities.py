"""Calls that wait for their agent begin by priority."""

import asyncio

import pytest

from lambdaagent.tasks.concurrency import PrioritySemaphore
from lambdaagent.tasks.requests import PRIORITY, priority_of


async def test_the_highest_priority_is_let_in_first_and_equals_in_order() -> None:
    semaphore, order = PrioritySemaphore(1), list[str]()
    await semaphore.acquire(5)

    async def enter(name: str, priority: int) -> None:
        await semaphore.acquire(priority)
        order.append(name)
        semaphore.release()

    waiting = [
        asyncio.create_task(enter(name, priority))
        for name, priority in (("low", 1), ("usual", 5), ("usual too", 5), ("high", 10))
    ]
    await asyncio.sleep(0)
    assert semaphore.locked()
    semaphore.release()
    await asyncio.gather(*waiting)
    assert order == ["high", "usual", "usual too", "low"]
    assert not semaphore.locked()


async def test_who_is_cancelled_while_waiting_or_when_let_in_holds_nothing() -> None:
    semaphore = PrioritySemaphore(1)
    await semaphore.acquire(5)
    waiting, let_in = (asyncio.create_task(semaphore.acquire(priority)) for priority in (1, 9))
    await asyncio.sleep(0)
    waiting.cancel()
    semaphore.release()
    let_in.cancel()  # in the same turn as it was let in
    assert await asyncio.gather(waiting, let_in, return_exceptions=True) != [None, None]
    await asyncio.wait_for(semaphore.acquire(5), 1)
    assert semaphore.locked()


@pytest.mark.parametrize(
    ("given", "expected"), [(1, 1), (10.0, 10), (0, 5), (11, 5), (2.5, 5), ("9", 5), (None, 5), ([], 5)]
)
def test_what_is_no_priority_is_the_usual_one(given: object, expected: int) -> None:
    assert priority_of({"metadata": {PRIORITY: given}}) == expected
