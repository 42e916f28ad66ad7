"""What every broker does with deliveries that are tried again, and with several consumers of one queue."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from tests.integration.broker.conftest import Names, consuming
from tests.parts.broker import Inbox, event, on
from tests.parts.polling import eventually

from lambdaagent.broker.bindings import ExchangeDeclaration
from lambdaagent.broker.inprocess import InProcessBroker
from lambdaagent.broker.protocol import ACK, Broker, BrokerDelivery, DeliveryOutcome, Settlement, retry
from lambdaagent.store.errors import StoreError


async def test_of_two_consumers_one_works_and_the_other_takes_over(
    broker: Broker, names: Names, make_broker: Callable[[], AbstractAsyncContextManager[Broker]]
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    first, second = Inbox(), Inbox()
    async with make_broker() as other:
        async with consuming(broker, names.a, first, names, parallelism=2):
            await broker.publish(event("1"), exchange=names.exchange)
            await eventually(lambda: first.ids == ["1"])
            standby = consuming(other, names.a, second, names, parallelism=2)
            await standby.__aenter__()
            for n in range(2, 6):
                await broker.publish(event(str(n)), exchange=names.exchange)
            await eventually(lambda: len(first.got) == 5)
            assert not second.got
        await broker.publish(event("6"), exchange=names.exchange)
        await eventually(lambda: second.ids == ["6"])
        await standby.__aexit__(None, None, None)
    assert len(first.got) == 5


async def test_at_parallelism_1_nothing_overtakes_what_waits_for_its_next_attempt(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    for n in range(40):
        await broker.publish(event(str(n)), exchange=names.exchange)
    inbox = Inbox(answer=lambda d: retry(0.05) if d.event.id in ("3", "20") and d.attempt < 4 else ACK)
    async with consuming(broker, names.a, inbox, names, parallelism=1):
        await eventually(lambda: len(inbox.got) == 46)
    wanted = [str(n) for n in range(40) for _ in range(4 if n in (3, 20) else 1)]
    assert inbox.ids == wanted
    assert [d.attempt for d in inbox.got if d.event.id == "3"] == [1, 2, 3, 4]


async def test_the_order_holds_while_consumers_take_turns(
    broker: Broker, names: Names, make_broker: Callable[[], AbstractAsyncContextManager[Broker]]
) -> None:
    """Each wait gives the queue to the other one, and each gives back what it had fetched ahead."""
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    for n in range(120):
        await broker.publish(event(str(n)), exchange=names.exchange)
    done: list[int] = []

    async def handler(delivery: BrokerDelivery) -> DeliveryOutcome:
        if int(delivery.event.id) % 20 == 7 and delivery.attempt < 3:
            return retry(0.1)
        done.append(int(delivery.event.id))
        return ACK

    async with (
        make_broker() as other,
        consuming(broker, names.a, handler, names, parallelism=1),
        consuming(other, names.a, handler, names, parallelism=1),
    ):
        await eventually(lambda: len(done) >= 120)
    assert done == list(range(120))


async def test_above_1_others_overtake_what_waits_for_its_next_attempt(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    sent = event("0", agent="a", n=7)
    inbox = Inbox(answer=lambda d: retry(0.6) if d.event.id == "0" and d.attempt < 3 else ACK)
    async with consuming(broker, names.a, inbox, names, parallelism=2):
        await broker.publish(sent, exchange=names.exchange)
        await eventually(lambda: len(inbox.got) == 1)
        await broker.publish(event("1"), exchange=names.exchange)
        await eventually(lambda: len(inbox.got) == 4)
    assert inbox.ids == ["0", "1", "0", "0"]
    again = [delivery for delivery in inbox.got if delivery.event.id == "0"]
    assert [delivery.attempt for delivery in again] == [1, 2, 3]
    assert all(delivery.event == sent for delivery in again)


@pytest.mark.parametrize("parallelism", [pytest.param(1, id="in order"), pytest.param(5, id="in parallel")])
async def test_attempts_and_waits_outlive_the_process_that_made_them(
    broker: Broker,
    names: Names,
    make_broker: Callable[[], AbstractAsyncContextManager[Broker]],
    parallelism: int,
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    await broker.publish(event(), exchange=names.exchange)
    first, second = Inbox(answer=lambda d: retry(0.05 if d.attempt == 1 else 1.5)), Inbox()
    loop = asyncio.get_running_loop()
    async with make_broker() as other, consuming(other, names.a, first, names, parallelism=parallelism):
        await eventually(lambda: len(first.got) == 2)
        failed = loop.time()
    async with consuming(broker, names.a, second, names, parallelism=parallelism):
        await eventually(lambda: second.got)
    assert second.got[0].attempt == 3
    # The in-process twin's processes share one life, and leaving cuts its wait short.
    assert isinstance(broker, InProcessBroker) or loop.time() - failed > 1.0


async def test_an_acknowledgement_waits_for_what_makes_it_durable(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    tried = 0

    async def settle() -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise StoreError("the store is away")

    inbox = Inbox(answer=lambda _: DeliveryOutcome(Settlement.ACK, settle=settle))
    async with consuming(broker, names.a, inbox, names, parallelism=1):
        await broker.publish(event(), exchange=names.exchange)
        await eventually(lambda: tried == 3)
    rest = Inbox()
    async with consuming(broker, names.a, rest, names, parallelism=1):
        await broker.publish(event("2"), exchange=names.exchange)
        await eventually(lambda: rest.got)
    assert (inbox.ids, rest.ids) == (["1"], ["2"])


async def test_attempts_find_their_way_back_to_a_queue_that_was_made_anew(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    inbox = Inbox(answer=lambda delivery: retry(0.3) if delivery.attempt == 1 else ACK)
    async with consuming(broker, names.a, inbox, names, parallelism=2):
        for id_ in ("before", "after"):
            await broker.publish(event(id_), exchange=names.exchange)
            await eventually(lambda: inbox.ids.count(id_) == 2)  # noqa: B023
            await broker.remove_queue(names.a)
            await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    assert inbox.ids == ["before", "before", "after", "after"]
