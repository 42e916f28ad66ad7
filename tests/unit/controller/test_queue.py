"""The work queue: each key once, one worker at a time, back-off per key."""

import asyncio

import pytest
from tests.parts.polling import eventually

from lambdaagent.backoff import Backoff
from lambdaagent.controller.queue import WorkQueue
from lambdaagent.errors import TemporaryError

ONE, TWO = ("ns", "one"), ("ns", "two")


def quick() -> Backoff:
    return Backoff(first=0.01, cap=0.02)


async def test_a_key_that_is_added_often_is_processed_once() -> None:
    seen: list[object] = []

    async def process(key: object) -> None:
        seen.append(key)

    queue = WorkQueue(process)
    for _ in range(10):
        queue.add(ONE)
    queue.add(TWO)
    async with queue.run():
        await eventually(lambda: queue.depth == 0)
    assert seen == [ONE, TWO]


async def test_a_key_that_changes_while_it_is_processed_is_processed_again() -> None:
    seen, running = [], 0

    async def process(key: tuple[str, str]) -> None:
        nonlocal running
        running += 1
        assert running == 1, "two workers on one key"
        seen.append(key)
        if len(seen) == 1:
            queue.add(ONE)
            queue.add(ONE)
            await asyncio.sleep(0.01)
        running -= 1

    queue = WorkQueue(process, workers=4)
    queue.add(ONE)
    async with queue.run():
        await eventually(lambda: len(seen) == 2 and queue.depth == 0)
    assert seen == [ONE, ONE]


@pytest.mark.parametrize(
    "problem", [pytest.param(TemporaryError("later"), id="expected"), pytest.param(KeyError("bug"), id="a bug")]
)
async def test_a_failure_comes_back_and_the_worker_lives_on(problem: Exception) -> None:
    seen: list[object] = []

    async def process(key: tuple[str, str]) -> None:
        seen.append(key)
        if key == ONE and seen.count(ONE) < 3:
            raise problem

    queue = WorkQueue(process, workers=1, backoff=quick)
    queue.add(ONE)
    queue.add(TWO)
    async with queue.run():
        await eventually(lambda: seen.count(ONE) == 3)
    assert seen[:2] == [ONE, TWO], "a failing key must not hold the others up"


def repeating() -> tuple[WorkQueue, list[object]]:
    """Returns a queue with one key that is due again 0.01 s after each time, and the keys that were processed."""
    seen: list[object] = []

    async def process(key: tuple[str, str]) -> float:
        seen.append(key)
        return 0.01

    queue = WorkQueue(process)
    queue.add(ONE)
    return queue, seen


async def test_what_is_due_later_comes_again() -> None:
    queue, seen = repeating()
    async with queue.run():
        await eventually(lambda: len(seen) >= 3)


async def test_a_forgotten_key_does_not_come_again() -> None:
    queue, seen = repeating()
    async with queue.run():
        await eventually(lambda: len(seen) >= 1 and queue.depth == 0)
        queue.forget(ONE)
        count = len(seen)
        await asyncio.sleep(0.05)
        assert len(seen) == count


async def test_what_failed_last_time_leaves_half_of_the_workers_to_the_others() -> None:
    stuck, done, calls = asyncio.Event(), [], dict[object, int]()

    async def process(key: tuple[str, str]) -> None:
        calls[key] = calls.get(key, 0) + 1
        if key[0] == "good":
            done.append(key)
            return
        if calls[key] > 1:
            await stuck.wait()
        raise TemporaryError("no")

    queue = WorkQueue(process, workers=4, backoff=quick)
    bad = [("bad", str(number)) for number in range(10)]
    for key in bad:
        queue.add(key)
    async with queue.run():
        await eventually(lambda: sum(count > 1 for count in calls.values()) == 2)
        await asyncio.sleep(0.05)
        assert sum(count > 1 for count in calls.values()) == 2, "two of four workers"
        queue.add(("good", "1"))
        await eventually(lambda: done == [("good", "1")])
        stuck.set()
        await eventually(lambda: all(calls[key] > 1 for key in bad))
