"""Rates that replicas share over PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.parts.polling import eventually

from lambdaagent import clock as clocks
from lambdaagent.access.rates import Buckets, Rate
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import shared_rates
from lambdaagent.gateway.access.shared_rates import sharing
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.records import RateStore, SharedUse

pytestmark = pytest.mark.asyncio
A, B = b"a" * 32, b"b" * 32


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresStore.open(database_url)
    yield opened
    await opened.close()


async def test_what_is_used_adds_up(store: PostgresStore) -> None:
    found = await store.spend([(B, 10.0), (A, 20.0)])
    assert [round(rest, 1) for rest in found.rests] == [10.0, 20.0]
    found = await store.spend([(A, 5.0)])
    assert 24.0 < found.rests[0] <= 25.0
    assert found.replicas == 0
    await store.beat("one", seconds=60)
    assert (await store.spend([(A, 1.0)])).replicas == 1
    assert await store.spend([]) == SharedUse([], 0)


async def test_full_buckets_are_deleted(store: PostgresStore) -> None:
    await store.spend([(A, 0.0), (B, 60.0)])
    await asyncio.sleep(0.01)
    assert await store.prune_rates() == 1
    assert (await store.spend([(B, 0.0)])).rests[0] > 50


async def test_many_replicas_spend_the_same_keys_at_once(store: PostgresStore, database_url: str) -> None:
    others = [await PostgresStore.open(database_url) for _ in range(3)]
    keys = [bytes([number]) * 32 for number in range(50)]
    try:
        spending = [
            each.spend([(key, 1.0) for key in (keys if turn % 2 else reversed(keys))])
            for turn in range(6)
            for each in (store, *others)
        ]
        await asyncio.wait_for(asyncio.gather(*spending), 30)
        assert 23.0 < (await store.spend([(keys[7], 0.0)])).rests[0] <= 24.0
    finally:
        for each in others:
            await each.close()


async def test_two_gateways_admit_what_one_would_and_at_most_a_burst_more(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_rates, "EVERY", 0.05)
    rate, clock, admitted = Rate(per_minute=600, burst=20), clocks.system(), 0
    gateways = [Buckets(), Buckets()]
    async with AsyncExitStack() as stack:
        for buckets in gateways:
            await stack.enter_async_context(sharing(buckets, store, clock))
        begun = clock.now()
        while clock.now() - begun < 4.0:
            admitted += sum(buckets.take("caller", rate, now=clock.now()) == 0 for buckets in gateways)
            await asyncio.sleep(0.005)
        passed = clock.now() - begun
    one = rate.burst + passed * rate.per_minute / 60
    with capsys.disabled():
        print(f"\nshared rates: {admitted} admitted by two gateways, {one:.0f} by one would be; alone {2 * one:.0f}")
    assert admitted <= one + rate.burst + 5
    assert admitted >= one - 5


class Broken:
    """A database that is away for a while."""

    def __init__(self, store: RateStore) -> None:
        self.store, self.away, self.tried = store, True, 0

    async def spend(self, used: list[tuple[bytes, float]]) -> SharedUse:
        self.tried += 1
        if self.away:
            raise TemporaryError("it is away")
        found = await self.store.spend(used)
        return SharedUse(found.rests, 2)

    async def prune_rates(self) -> int:
        return 0


async def test_without_the_database_each_admits_its_share(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_rates, "EVERY", 0.01)
    buckets, rate, broken = Buckets(), Rate(per_minute=60_000, burst=1_000), Broken(store)
    broken.away = False
    clock = clocks.system()

    async def used(times: int = 1) -> None:
        tried = broken.tried
        buckets.take("caller", rate, now=clock.now())
        await eventually(lambda: broken.tried >= tried + times)
        await asyncio.sleep(0)

    async with sharing(buckets, broken, clock):
        await used()  # learns how many replicas there are
        broken.away = True
        await used()
        await eventually(lambda: buckets.parts == 2)
        broken.away = False
        await used()
        await eventually(lambda: buckets.parts == 1)
