import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdaagent.backoff import Backoff
from lambdaagent.broker.bindings import Binding
from lambdaagent.broker.inprocess import InProcessBroker
from lambdaagent.broker.protocol import ACK, Broker, BrokerDelivery, DeliveryOutcome
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.errors import TemporaryError
from lambdaagent.events.cloudevents import Event, Value

QUICK = Backoff(first=0.05, cap=0.2)


@dataclass
class Inbox:
    """A handler that keeps what it got; `answer` decides what becomes of it."""

    answer: Callable[[BrokerDelivery], DeliveryOutcome] = lambda _delivery: ACK
    got: list[BrokerDelivery] = field(default_factory=list)

    async def __call__(self, delivery: BrokerDelivery) -> DeliveryOutcome:
        self.got.append(delivery)
        return self.answer(delivery)

    @property
    def ids(self) -> list[str]:
        return [delivery.event.id for delivery in self.got]


@pytest.fixture(
    params=[
        pytest.param("inprocess", id="in process"),
        pytest.param("quorum", id="rabbitmq with quorum queues"),
        pytest.param("classic", id="rabbitmq with classic queues"),
    ]
)
def make_broker(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[Broker]]:
    """Brokers that share what is durable: further calls are further processes, where there can be any."""
    if request.param == "inprocess":
        shared = InProcessBroker(publish_timeout=5, drain_timeout=5, backoff=QUICK, limit=1000)

        @asynccontextmanager
        async def the_one() -> AsyncIterator[Broker]:
            yield shared

        return the_one
    url = request.getfixturevalue("rabbitmq").url
    options: Mapping[str, Any] = {"publish_timeout": 10, "drain_timeout": 5, "backoff": QUICK}
    return lambda: RabbitMQBroker(url=url, queue_type=request.param, **options)


@pytest.fixture
async def broker(make_broker: Callable[[], AbstractAsyncContextManager[Broker]]) -> AsyncIterator[Broker]:
    async with make_broker() as found:
        await asyncio.wait_for(found.wait_ready(), 20)
        yield found


@pytest.fixture
async def names(amqp_prefix: str, broker: Broker) -> AsyncIterator["Names"]:
    found = Names(amqp_prefix)
    yield found
    await broker.remove_exchange(found.exchange)
    for queue in (found.a, found.b, found.dead):
        await broker.remove_queue(queue)


class Names:
    def __init__(self, prefix: str) -> None:
        self.exchange, self.a, self.b, self.dead = (f"{prefix}.{name}" for name in ("x", "a", "b", "dead"))


def event(id_: str = "1", type_: str = "t", **extensions: Value) -> Event:
    return Event(id=id_, source="/tests", type=type_, data=b"{}", extensions=extensions)


def on(**attributes: str) -> Binding:
    return Binding(attributes)


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[RabbitMQBroker]:
    settings = {"backoff": QUICK, "publish_timeout": 10.0, "drain_timeout": 5.0} | options
    async with RabbitMQBroker(url=url, **settings) as found:
        await asyncio.wait_for(found.wait_ready(), 30)
        yield found


async def published(broker: Broker, sent: Event, *, exchange: str, within: float = 20) -> None:
    """As a caller does: again, until the broker has confirmed it and a queue took it."""
    async with asyncio.timeout(within):
        while True:
            with contextlib.suppress(TemporaryError):
                if await broker.publish(sent, exchange=exchange):
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def consuming(
    broker: Broker, queue: str, handler: Callable[[BrokerDelivery], object], names: Names, *, parallelism: int = 10
) -> AsyncIterator[None]:
    async with broker.consume(queue, parallelism=parallelism, handler=handler, dead_letters=names.dead):  # type: ignore[arg-type]
        yield
