"""What RabbitMQ carries: messages of others, contradictions, and letters that are safe before a delivery is settled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.parts.broker import EVERYTHING, Inbox, connected, consume, event, link
from tests.parts.polling import eventually
from tests.parts.rabbitmq import RabbitMQ

from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.errors import (
    EventTooLargeError,
    TopologyError,
)
from lambdaagent.broker.protocol import ACK, BrokerDelivery, DeliveryOutcome, dead_letter
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.broker.rabbitmq.confirms import ConfirmChannel
from lambdaagent.events import amqp
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.dead_letter_headers import DeathCause

CAUSE = DeathCause("default/a", "the agent answered 400", 1.0)
_ROOT = Path(__file__).parents[3]


@pytest.fixture
async def broker(own_rabbitmq: RabbitMQ) -> AsyncIterator[RabbitMQBroker]:
    async with connected(own_rabbitmq.url) as found:
        yield found


async def test_a_message_that_is_no_event_goes_to_the_dead_letters_as_it_is(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    await broker.declare(
        ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}, dead_letters=f"{amqp_prefix}.dead")
    )
    inbox = Inbox()
    async with link(own_rabbitmq.url) as other:
        channel = await ConfirmChannel.open(other)
        assert await channel.publish(amqp.Message(b"hello", {"shape": "odd"}), exchange="", routing_key=amqp_prefix)
        async with consume(broker, amqp_prefix, inbox):
            await broker.publish(event("good"), exchange=amqp_prefix)
            await eventually(lambda: inbox.ids == ["good"])

        def get(*, callback: Callable[[Any], None]) -> None:
            channel.channel.raw.basic_get(f"{amqp_prefix}.dead", lambda *got: callback(got), auto_ack=True)

        _, _, properties, body = await channel.channel.call(get)
        assert body == b"hello"
        assert properties.headers["shape"] == "odd"
        assert "not a CloudEvent" in properties.headers["x-lambdaagent-reason"]


async def test_the_wire_is_that_of_knative(broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: [Binding({"type": "t"})]}))
    sent = Event("7", "/s", "t", b"{}", "application/json", extensions={"a2ataskid": "t-1"})
    await broker.publish(sent, exchange=amqp_prefix)
    async with link(own_rabbitmq.url) as other:
        channel = await other.channel()

        got: list[tuple[Any, bytes]] = []
        await channel.call(
            channel.raw.basic_consume,
            queue=amqp_prefix,
            on_message_callback=lambda _channel, _method, properties, body: got.append((properties, body)),
            auto_ack=True,
        )
        await eventually(lambda: got)
        properties, body = got[0]
        await channel.close()
    assert (properties.content_type, properties.message_id, properties.delivery_mode) == ("application/json", "7", 2)
    own = {"x-delivery-count"}  # RabbitMQ's
    assert {name: value for name, value in properties.headers.items() if name not in own} == {
        "specversion": "1.0",
        "id": "7",
        "source": "/s",
        "type": "t",
        "time": "0001-01-01T00:00:00Z",
        "content-type": "application/json",
        "a2ataskid": "t-1",
    }
    assert body == b"{}"


async def test_what_contradicts_an_existing_queue_is_a_permanent_error(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    async with connected(own_rabbitmq.url, queue_type="classic") as other:
        with pytest.raises(TopologyError, match="Remove what contradicts it"):
            await other.declare(ExchangeDeclaration(f"{amqp_prefix}.other", {amqp_prefix: EVERYTHING}))
        assert await other.publish(event(), exchange=amqp_prefix), "a refusal must not disturb others"


@pytest.mark.parametrize(
    "too_large",
    [
        pytest.param(Event("1", "/s", "t", b"x" * (17 * 2**20)), id="data"),
        pytest.param(Event("1", "/s", "t", extensions={f"e{n}": "x" * 1000 for n in range(200)}), id="attributes"),
    ],
)
async def test_an_event_that_no_frame_can_carry_is_refused_alone(
    broker: RabbitMQBroker, amqp_prefix: str, too_large: Event
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    good = [asyncio.create_task(broker.publish(event(str(n)), exchange=amqp_prefix)) for n in range(20)]
    with pytest.raises(EventTooLargeError):
        await broker.publish(too_large, exchange=amqp_prefix)
    assert all(await asyncio.gather(*good))


async def test_a_dead_letter_is_safe_before_its_delivery_is_settled(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    """The queue of dead letters is deleted under the consumer: the delivery comes back instead of vanishing."""
    await broker.declare(
        ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}, dead_letters=f"{amqp_prefix}.dead")
    )
    verdicts: list[DeliveryOutcome] = []

    async def handler(delivery: BrokerDelivery) -> DeliveryOutcome:
        if not verdicts:
            await broker.remove_queue(f"{amqp_prefix}.dead")
        verdicts.append(dead_letter(CAUSE) if len(verdicts) < 2 else ACK)
        return verdicts[-1]

    async with consume(broker, amqp_prefix, handler):
        await broker.publish(event(), exchange=amqp_prefix)
        await eventually(lambda: len(verdicts) == 3)


@pytest.mark.parametrize("parallelism", [pytest.param(1, id="in order"), pytest.param(4, id="in parallel")])
async def test_consumers_take_turns_without_doing_anything_twice(
    own_rabbitmq: RabbitMQ, amqp_prefix: str, parallelism: int
) -> None:
    done: list[tuple[str, int]] = []
    running = most = 0

    def handler(name: str) -> Callable[[BrokerDelivery], Any]:
        async def handle(delivery: BrokerDelivery) -> DeliveryOutcome:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.02)
            running -= 1
            done.append((name, int(delivery.event.id)))
            return ACK

        return handle

    async with (
        connected(own_rabbitmq.url, turn_seconds=0.4) as one,
        connected(own_rabbitmq.url, turn_seconds=0.4) as two,
    ):
        await one.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
        for number in range(200):
            await one.publish(event(str(number)), exchange=amqp_prefix)
        async with (
            consume(one, amqp_prefix, handler("one"), parallelism=parallelism),
            consume(two, amqp_prefix, handler("two"), parallelism=parallelism),
        ):
            await eventually(lambda: len(done) >= 200, within=40)
        await one.remove_queue(amqp_prefix)
    ids = [number for _, number in done]
    assert sorted(ids) == list(range(200))
    assert parallelism > 1 or ids == sorted(ids)
    assert most <= parallelism
    assert {name for name, _ in done} == {"one", "two"}
