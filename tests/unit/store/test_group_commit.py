"""Writes that wait are committed together, in batches of bounded size."""

import asyncio
from collections.abc import Awaitable, Callable

from lambdaagent.store.errors import StoreError
from lambdaagent.store.group_commit import GroupCommit


async def test_a_batch_that_fails_tells_each_of_its_callers_and_the_next_one_is_written() -> None:
    seen: list[int] = []

    async def write(ops: object) -> list[bool | StoreError]:
        assert isinstance(ops, list)
        if 1 in ops:
            raise StoreError("disk full")
        seen.extend(ops)
        return [True] * len(ops)

    group: GroupCommit[int] = GroupCommit(write)
    outcomes = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreError, StoreError]
    assert await group.submit(3)
    await group.close()
    assert seen == [3]


def counting() -> tuple[list[int], Callable[[object], Awaitable[list[bool | StoreError]]]]:
    """Returns the sizes of the batches that are written, and what writes them."""
    batches: list[int] = []

    async def write(ops: object) -> list[bool | StoreError]:
        assert isinstance(ops, list)
        batches.append(len(ops))
        await asyncio.sleep(0)
        return [True] * len(ops)

    return batches, write


async def test_large_writes_are_written_in_several_batches() -> None:
    batches, write = counting()
    group: GroupCommit[int] = GroupCommit(write, size=lambda op: op * 2**20)
    await asyncio.gather(*(group.submit(size) for size in (1, 10, 10, 10, 40, 1, 1)))
    await group.close()
    assert batches == [3, 2, 2]


async def test_what_waits_is_written_together() -> None:
    batches, write = counting()
    group: GroupCommit[int] = GroupCommit(write, batch=50)
    await asyncio.gather(*(group.submit(n) for n in range(101)))
    await group.close()
    assert max(batches) == 50
    assert sum(batches) == 101
    assert len(batches) <= 4
