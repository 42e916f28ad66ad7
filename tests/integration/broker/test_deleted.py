"""Somebody deletes by hand what the broker adapter made on RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.parts.broker import QUICK, Inbox, connected, published
from tests.parts.polling import eventually
from tests.parts.rabbitmq import ForeignRabbitMQ, RabbitMQ

from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.errors import RefusedQueuesError
from lambdaagent.broker.protocol import ACK, BrokerDelivery, DeliveryOutcome, retry
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.broker.rabbitmq.channel import Channel
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.broker.rabbitmq.topology import QUEUE_HEADER, QueueTopology
from lambdaagent.events.cloudevents import Event

Delete = Callable[[Channel, str], Awaitable[Any]]


def event(id_: str) -> Event:
    return Event(id=id_, source="/tests", type="t", data=b"{}")


@pytest.fixture
async def by_hand(rabbitmq: RabbitMQ | ForeignRabbitMQ) -> AsyncIterator[Channel]:
    """A channel of somebody else's."""
    link = RabbitMQConnection(url=rabbitmq.url, name="by hand", backoff=QUICK)
    link.start()
    yield await link.channel()
    await link.stop()


@pytest.fixture(params=["quorum", "classic"])
async def broker(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, amqp_prefix: str, request: pytest.FixtureRequest
) -> AsyncIterator[RabbitMQBroker]:
    async with connected(rabbitmq.url, look_every=0.2, queue_type=request.param) as found:
        await found.declare(ExchangeDeclaration(amqp_prefix, {f"{amqp_prefix}.q": [Binding({"type": "t"})]}))
        yield found
        await found.remove_exchange(amqp_prefix)
        for name in ("q", "dead"):
            await found.remove_queue(f"{amqp_prefix}.{name}")


def consume(broker: RabbitMQBroker, prefix: str, inbox: Inbox, *, parallelism: int = 1) -> Any:
    return broker.consume(f"{prefix}.q", parallelism=parallelism, handler=inbox, dead_letters=f"{prefix}.dead")


async def queue(channel: Channel, prefix: str) -> None:
    await channel.call(channel.raw.queue_delete, queue=f"{prefix}.q")


async def exchange(channel: Channel, prefix: str) -> None:
    await channel.call(channel.raw.exchange_delete, exchange=prefix)


async def binding(channel: Channel, prefix: str) -> None:
    arguments = {"ce-type": "t", "x-match": "all", QUEUE_HEADER: f"{prefix}.q"}
    await channel.call(
        channel.raw.queue_unbind, queue=f"{prefix}.q", exchange=prefix, routing_key="", arguments=arguments
    )


async def record(channel: Channel, prefix: str) -> None:
    await channel.call(channel.raw.queue_delete, queue=f"{prefix}.bindings")


async def everything(channel: Channel, prefix: str) -> None:
    for each in (queue, record, exchange):
        await each(channel, prefix)


@pytest.mark.parametrize("consumed", [True, False], ids=["while it is consumed", "while nobody consumes"])
@pytest.mark.parametrize(
    ("delete", "said"),
    [(queue, "{}.q"), (exchange, "{}"), (binding, ""), (record, "{}.bindings"), (everything, "{}")],
    ids=["a queue", "an exchange", "a binding", "the record", "everything"],
)
async def test_what_is_deleted_by_hand_is_made_again_and_said(
    broker: RabbitMQBroker, amqp_prefix: str, by_hand: Channel, delete: Delete, said: str, consumed: bool
) -> None:
    assert await broker.publish(event("before"), exchange=amqp_prefix)
    inbox = Inbox()

    async def check() -> None:
        async with broker._declaring:  # a look that is under way would make it again without having missed it
            await delete(by_hand, amqp_prefix)
        await published(broker, event("after"), exchange=amqp_prefix)
        expected = {said.format(amqp_prefix)} - {""}
        await eventually(lambda: expected <= broker.losses.keys())
        assert not any(loss.problem for loss in broker.losses.values())
        if not said:
            assert not broker.losses, "nobody can tell that a binding was missing"
        if delete is record:
            assert broker.losses.keys() == expected, "the agents' queues lost nothing: a policy may expire a record"

    if consumed:
        async with consume(broker, amqp_prefix, inbox):
            await eventually(lambda: "before" in inbox.ids)
            await check()
            await eventually(lambda: "after" in inbox.ids)
    else:
        await check()
        async with consume(broker, amqp_prefix, inbox):
            await eventually(lambda: "after" in inbox.ids)


@pytest.mark.parametrize("seconds", [0.3, 9.0], ids=["due before it is there", "due afterwards"])
async def test_what_waits_for_its_next_attempt_finds_a_queue_that_was_made_again(
    broker: RabbitMQBroker, amqp_prefix: str, by_hand: Channel, seconds: float
) -> None:
    def once(delivery: BrokerDelivery) -> DeliveryOutcome:
        return retry(seconds) if delivery.attempt == 1 else ACK

    inbox, put, waits = Inbox(once), broker._delays.put, asyncio.Event()

    async def watched(*args: Any, **options: Any) -> None:
        await put(*args, **options)
        waits.set()

    broker._delays.put = watched  # type: ignore[method-assign]
    async with consume(broker, amqp_prefix, inbox, parallelism=5):
        await broker.publish(event("waits"), exchange=amqp_prefix)
        async with asyncio.timeout(30):
            await waits.wait()
        async with broker._declaring:  # a look that is under way would make it again without having missed it
            await queue(by_hand, amqp_prefix)
        await eventually(lambda: inbox.ids == ["waits", "waits"], within=60)


async def test_what_another_process_no_longer_wants_is_not_bound_again(
    broker: RabbitMQBroker, rabbitmq: RabbitMQ | ForeignRabbitMQ, amqp_prefix: str
) -> None:
    """This one has not seen yet that the agent wants nothing any more."""
    async with connected(rabbitmq.url, queue_type=broker._queue_type) as newer:
        await newer.declare(ExchangeDeclaration(amqp_prefix, {f"{amqp_prefix}.q": []}))
    mended = await broker._topology.mend(broker._standing[amqp_prefix])
    assert not mended
    assert not await broker.publish(event("unwanted"), exchange=amqp_prefix)


@pytest.mark.parametrize("what", ["exchange", "queue"])
async def test_what_cannot_be_made_again_is_said_with_its_reason(
    broker: RabbitMQBroker, amqp_prefix: str, by_hand: Channel, what: str
) -> None:
    """Somebody made something else of its name."""
    async with broker._declaring:  # or it would make its own in between
        if what == "exchange":
            name = amqp_prefix
            await exchange(by_hand, amqp_prefix)
            await by_hand.call(by_hand.raw.exchange_declare, exchange=name, exchange_type="fanout", durable=True)
        else:
            name = f"{amqp_prefix}.q"
            await queue(by_hand, amqp_prefix)
            await by_hand.call(by_hand.raw.queue_declare, queue=name, durable=True)

    def problem() -> str:
        return broker.losses[name].problem if name in broker.losses else "none"

    await eventually(lambda: "inequivalent arg" in problem())
    await (exchange if what == "exchange" else queue)(by_hand, amqp_prefix)
    await eventually(lambda: not problem())
    await published(broker, event("after"), exchange=amqp_prefix)


async def test_one_queue_that_is_refused_leaves_the_others_looked_after(
    broker: RabbitMQBroker, amqp_prefix: str, by_hand: Channel
) -> None:
    other = f"{amqp_prefix}.other"
    await by_hand.call(by_hand.raw.queue_declare, queue=other, durable=True)
    bindings = {name: [Binding({"type": "t"})] for name in (f"{amqp_prefix}.q", other)}
    with pytest.raises(RefusedQueuesError):
        await broker.declare(ExchangeDeclaration(amqp_prefix, bindings))
    await queue(by_hand, amqp_prefix)
    await published(broker, event("after"), exchange=amqp_prefix)
    await by_hand.call(by_hand.raw.queue_delete, queue=other)


async def test_a_queue_that_stays_away_is_logged_once_by_its_consumer(
    rabbitmq: RabbitMQ | ForeignRabbitMQ, amqp_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = 0

    def lost() -> None:
        nonlocal missed
        missed += 1

    async with connected(rabbitmq.url) as broker:
        broker._upkeep.tell = lost  # type: ignore[method-assign]
        async with consume(broker, amqp_prefix, Inbox()):
            await eventually(lambda: missed == 4)
        await broker.remove_exchange(f"{amqp_prefix}.dead")
        await broker.remove_queue(f"{amqp_prefix}.dead")
    assert capsys.readouterr().out.count("consumer.start_failed") == 1


async def test_a_queue_that_is_deleted_during_a_check_does_not_hide_the_loss_of_another(
    broker: RabbitMQBroker, amqp_prefix: str, by_hand: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The binding of the second queue fails, and the next check finds it missing."""
    first, second = f"{amqp_prefix}.q", f"{amqp_prefix}.a"
    bindings = {name: [Binding({"type": "t"})] for name in (first, second)}
    await broker.declare(ExchangeDeclaration(amqp_prefix, bindings))
    ensure = QueueTopology._ensure

    async def deleting(self: QueueTopology, *arguments: Any, **options: Any) -> dict[str, str]:
        monkeypatch.undo()
        await by_hand.call(by_hand.raw.queue_delete, queue=second)
        return await ensure(self, *arguments, **options)

    monkeypatch.setattr(QueueTopology, "_ensure", deleting)
    async with broker._declaring:
        await queue(by_hand, amqp_prefix)
    await eventually(lambda: broker.losses.keys() == {first, second})
    await broker.remove_queue(second)
