"""What several processes do that declare the same exchange."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from tests.integration.broker.conftest import Names
from tests.parts.broker import event, on

from lambdaagent.broker.bindings import Binding, Bound, ExchangeDeclaration
from lambdaagent.broker.protocol import (
    Broker,
)
from lambdaagent.events.dead_letter_headers import DeathCause

CAUSE = DeathCause("default/a", "the agent answered 400", 1.0)


async def test_another_process_removes_what_the_first_one_bound(
    broker: Broker, names: Names, make_broker: Callable[[], AbstractAsyncContextManager[Broker]]
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="stale"), on(type="kept")]}))
    async with make_broker() as second:
        await second.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="kept")]}))
        assert await second.publish(event(type_="stale"), exchange=names.exchange) is False
        assert await second.publish(event(type_="kept"), exchange=names.exchange) is True


async def test_processes_that_declare_at_once_agree(
    broker: Broker, names: Names, make_broker: Callable[[], AbstractAsyncContextManager[Broker]]
) -> None:
    queues: Mapping[str, Sequence[Binding]] = {names.a: [on(type=f"t{n}") for n in range(5)]}
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="stale"), on(type="t1")]}))
    async with make_broker() as second, make_broker() as third:
        await asyncio.gather(*(b.declare(ExchangeDeclaration(names.exchange, queues)) for b in (broker, second, third)))
    assert await broker.publish(event(type_="stale"), exchange=names.exchange) is False
    assert await broker.publish(event(type_="t4"), exchange=names.exchange) is True


async def test_a_process_that_starts_knows_what_others_declared(
    broker: Broker, names: Names, make_broker: Callable[[], AbstractAsyncContextManager[Broker]]
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")], names.b: [on(type="t")]}))
    async with make_broker() as second:
        assert names.exchange in await second.exchanges()
        asked: list[Bound] = []

        def keep(others: Collection[Bound]) -> Collection[Bound]:
            asked.extend(others)
            return others

        assert await second.remove_exchange(names.exchange, keep=keep) is None
        assert {name for name, _ in asked} == {names.a, names.b}
        asked.clear()
        queues = {names.b: [on(type="u")]}
        assert await second.declare(ExchangeDeclaration(names.exchange, queues, keep=keep)) == frozenset()
        assert sorted(asked) == [(names.a, (("type", "t"),)), (names.b, (("type", "t"),))]
        for kind in ("t", "u"):
            assert await broker.publish(event(kind, kind), exchange=names.exchange)
        stale = await second.declare(ExchangeDeclaration(names.exchange, {names.b: [on(type="t")]}))
        assert stale == {names.a}
        assert not await broker.publish(event("u", "u"), exchange=names.exchange)
        assert await second.remove_exchange(names.exchange) == {names.b}
        assert await second.remove_exchange(names.exchange) == frozenset()
        assert names.exchange not in await second.exchanges()
