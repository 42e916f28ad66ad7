"""What every broker does, in one process or on RabbitMQ."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.integration.broker.conftest import Names, consuming
from tests.parts.broker import Inbox, event, on
from tests.parts.polling import eventually

from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.protocol import (
    ACK,
    REQUEUE,
    Broker,
    BrokerDelivery,
    DeliveryOutcome,
    dead_letter,
)
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause

CAUSE = DeathCause("default/a", "the agent answered 400", 1.0)


@pytest.mark.parametrize(
    ("bindings", "sent", "taken"),
    [
        pytest.param([on(type="t")], event(), True, id="type"),
        pytest.param([on(type="other")], event(), False, id="another type"),
        pytest.param([on(type="t", source="/tests")], event(), True, id="type and source"),
        pytest.param([on(type="t", source="/else")], event(), False, id="type but not source"),
        pytest.param([on(type="t", agent="a")], event(agent="a"), True, id="an extension"),
        pytest.param([on(type="t", agent="a")], event(), False, id="a missing extension"),
        pytest.param([on(n="7")], event(n=7), False, id="a number is no string"),
        pytest.param([on(type="x"), on(type="t")], event(), True, id="any of the bindings"),
        pytest.param([on()], event(), True, id="no attributes take everything"),
        pytest.param([], event(), False, id="no bindings take nothing"),
    ],
)
async def test_an_event_reaches_exactly_the_queues_that_are_bound_to_it(
    broker: Broker, names: Names, bindings: Sequence[Binding], sent: Event, taken: bool
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: bindings, names.b: [on(type="never")]}))
    inbox, nobody = Inbox(), Inbox()
    assert await broker.publish(sent, exchange=names.exchange) is taken
    async with (
        consuming(broker, names.a, inbox, names),
        consuming(broker, names.b, nobody, names),
    ):
        if taken:
            await eventually(lambda: [delivery.event for delivery in inbox.got] == [sent])
    assert (len(inbox.got), nobody.got) == (int(taken), [])


async def test_an_event_that_matches_twice_is_delivered_once(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t"), on(source="/tests")]}))
    await broker.publish(event("1"), exchange=names.exchange)
    await broker.publish(event("2"), exchange=names.exchange)
    inbox = Inbox()
    async with consuming(broker, names.a, inbox, names):
        await eventually(lambda: "2" in inbox.ids)
    assert inbox.ids == ["1", "2"]


async def test_an_exchange_that_nobody_declared_routes_nothing(broker: Broker, names: Names) -> None:
    assert await broker.publish(event(), exchange=names.exchange) is False


async def test_a_forward_hands_on_what_matches_and_circles_end(broker: Broker, names: Names) -> None:
    there = f"{names.exchange}.there"
    for exchange, target, queue in ((names.exchange, there, names.a), (there, names.exchange, names.b)):
        await broker.declare(
            ExchangeDeclaration(exchange, {queue: [on(type="t"), on(type="u")]}, forwards={target: [on(type="t")]})
        )
    a, b = Inbox(), Inbox()
    async with consuming(broker, names.a, a, names), consuming(broker, names.b, b, names):
        for id_, type_ in (("1", "t"), ("2", "u"), ("3", "never")):
            assert await broker.publish(event(id_, type_), exchange=names.exchange) is (type_ != "never")
        await eventually(lambda: (a.ids, b.ids) == (["1", "2"], ["1"]))
        await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")]}))
        await broker.publish(event("4"), exchange=names.exchange)
        await eventually(lambda: a.ids == ["1", "2", "4"])
    assert b.ids == ["1"]
    await broker.remove_exchange(there)


async def test_declaring_again_keeps_messages_and_changes_bindings(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="old"), on(type="kept")]}))
    for type_ in ("old", "kept"):
        assert await broker.publish(event(type_, type_), exchange=names.exchange)
    for _ in range(2):
        await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="new"), on(type="kept")]}))
    routed = [await broker.publish(event(f"{t}2", t), exchange=names.exchange) for t in ("old", "kept", "new")]
    assert routed == [False, True, True]
    inbox = Inbox()
    async with consuming(broker, names.a, inbox, names):
        await eventually(lambda: inbox.ids == ["old", "kept", "kept2", "new2"])


async def test_a_queue_that_is_no_longer_named_loses_its_bindings_and_keeps_its_messages(
    broker: Broker, names: Names
) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")], names.b: [on(type="t")]}))
    await broker.publish(event("1"), exchange=names.exchange)
    await broker.declare(ExchangeDeclaration(names.exchange, {names.b: [on(type="t")]}))
    await broker.publish(event("2"), exchange=names.exchange)
    a, b = Inbox(), Inbox()
    async with consuming(broker, names.a, a, names), consuming(broker, names.b, b, names):
        await eventually(lambda: b.ids == ["1", "2"])
        await eventually(lambda: a.ids == ["1"])


async def test_bindings_that_are_to_be_kept_stay_as_they_are(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")], names.b: [on(type="t")]}))
    stale = await broker.declare(
        ExchangeDeclaration(
            names.exchange,
            {names.b: [on(type="u")]},
            keep=lambda others: [each for each in others if each[0] == names.a],
        )
    )
    assert stale == frozenset()
    assert await broker.publish(event("1"), exchange=names.exchange)
    a, b = Inbox(), Inbox()
    async with consuming(broker, names.a, a, names), consuming(broker, names.b, b, names):
        await eventually(lambda: a.ids == ["1"])
    assert b.ids == []
    assert await broker.declare(ExchangeDeclaration(names.exchange, {names.b: [on(type="u")]})) == {names.a}


async def test_a_removed_queue_is_gone_with_its_messages(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")]}))
    await broker.publish(event("1"), exchange=names.exchange)
    await broker.remove_queue(names.a)
    await broker.remove_queue(names.a)
    assert await broker.publish(event("2"), exchange=names.exchange) is False
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")]}))
    await broker.publish(event("3"), exchange=names.exchange)
    inbox = Inbox()
    async with consuming(broker, names.a, inbox, names):
        await eventually(lambda: inbox.ids == ["3"])


async def test_a_removed_exchange_routes_nothing_until_it_is_declared_again(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")]}))
    assert await broker.publish(event("1"), exchange=names.exchange)
    await broker.remove_exchange(names.exchange)
    await broker.remove_exchange(names.exchange)
    assert await broker.publish(event("2"), exchange=names.exchange) is False
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="t")]}))
    assert await broker.publish(event("3"), exchange=names.exchange)


async def test_a_requeued_delivery_comes_again_and_says_so(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    inbox = Inbox(answer=lambda delivery: ACK if delivery.redelivered else REQUEUE)
    async with consuming(broker, names.a, inbox, names):
        await broker.publish(event(), exchange=names.exchange)
        await eventually(lambda: len(inbox.got) == 2)
    assert [(delivery.attempt, delivery.redelivered) for delivery in inbox.got] == [(1, False), (1, True)]


async def test_a_handler_that_raises_is_asked_again(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))

    def answer(delivery: BrokerDelivery) -> DeliveryOutcome:
        if not delivery.redelivered:
            raise LookupError("a fault in a handler")
        return ACK

    inbox = Inbox(answer=answer)
    async with consuming(broker, names.a, inbox, names):
        await broker.publish(event(), exchange=names.exchange)
        await eventually(lambda: len(inbox.got) == 2)


async def test_a_dead_letter_is_kept_with_what_was_said_about_it(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}, dead_letters=names.dead))
    cause = DeathCause("default/a", "the agent answered 404", 1.0, code=404, destination="http://a", attempts=3)
    inbox, dead = Inbox(answer=lambda _: dead_letter(cause)), Inbox()
    async with consuming(broker, names.a, inbox, names), consuming(broker, names.dead, dead, names):
        await broker.publish(event(agent="a"), exchange=names.exchange)
        await eventually(lambda: dead.got)
    said = dead.got[0].event.extensions
    assert (said["agent"], said["knativeerrordest"], int(said["knativeerrorcode"])) == ("a", "http://a", 404)
    assert len(inbox.got) == 1


async def test_a_dead_letter_queue_that_nobody_declared_is_made(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    inbox, dead = Inbox(answer=lambda _: dead_letter(CAUSE)), Inbox()
    async with consuming(broker, names.a, inbox, names):
        await broker.publish(event(), exchange=names.exchange)
        await eventually(lambda: inbox.got)
    async with consuming(broker, names.dead, dead, names):
        await eventually(lambda: dead.ids == ["1"])


async def test_no_more_than_the_parallelism_is_handled_at_a_time(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    running, most, done = 0, 0, 0

    async def handler(_delivery: BrokerDelivery) -> DeliveryOutcome:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        done += 1
        return ACK

    for n in range(12):
        await broker.publish(event(str(n)), exchange=names.exchange)
    async with consuming(broker, names.a, handler, names, parallelism=3):
        await eventually(lambda: done == 12)
    assert most == 3


async def test_leaving_waits_for_running_handlers_and_leaves_the_rest(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on()]}))
    for n in range(3):
        await broker.publish(event(str(n)), exchange=names.exchange)
    started, finish, finished = asyncio.Event(), asyncio.Event(), Inbox()

    async def handler(delivery: BrokerDelivery) -> DeliveryOutcome:
        started.set()
        await finish.wait()
        return await finished(delivery)

    async def consume() -> None:
        async with consuming(broker, names.a, handler, names, parallelism=1):
            await started.wait()
            asyncio.get_running_loop().call_later(0.2, finish.set)

    await asyncio.wait_for(consume(), 20)
    assert finished.ids == ["0"]
    rest = Inbox()
    async with consuming(broker, names.a, rest, names):
        await eventually(lambda: rest.ids == ["1", "2"])


async def test_many_events_in_flight_are_each_answered(broker: Broker, names: Names) -> None:
    await broker.declare(ExchangeDeclaration(names.exchange, {names.a: [on(type="even")]}))
    types = ["even" if n % 2 == 0 else "odd" for n in range(600)]
    answers = await asyncio.gather(
        *(broker.publish(event(str(n), type_), exchange=names.exchange) for n, type_ in enumerate(types))
    )
    assert answers == [type_ == "even" for type_ in types]
    inbox = Inbox()
    async with consuming(broker, names.a, inbox, names, parallelism=50):
        await eventually(lambda: len(inbox.got) == 300)
    assert inbox.ids == [str(n) for n in range(0, 600, 2)]
