"""Events and bindings for tests of brokers, and a handler that keeps its deliveries."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from lambdaagent.backoff import Backoff
from lambdaagent.broker.bindings import Binding
from lambdaagent.broker.protocol import ACK, Broker, BrokerDelivery, DeliveryOutcome
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.broker.rabbitmq.connection import RabbitMQConnection
from lambdaagent.errors import TemporaryError
from lambdaagent.events.cloudevents import Event, Value

EVERYTHING = [Binding({})]
QUICK = Backoff(first=0.05, cap=0.2)


@dataclass
class Inbox:
    """A handler that keeps its deliveries in `got`; `answer` returns the outcome of each."""

    answer: Callable[[BrokerDelivery], DeliveryOutcome] = lambda _delivery: ACK
    got: list[BrokerDelivery] = field(default_factory=list)

    async def __call__(self, delivery: BrokerDelivery) -> DeliveryOutcome:
        self.got.append(delivery)
        return self.answer(delivery)

    @property
    def ids(self) -> list[str]:
        return [delivery.event.id for delivery in self.got]


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


@asynccontextmanager
async def link(url: str) -> AsyncIterator[RabbitMQConnection]:
    found = RabbitMQConnection(url=url, name="test", backoff=QUICK)
    found.start()
    try:
        yield found
    finally:
        await found.stop()


def consume(
    broker: RabbitMQBroker, prefix: str, handler: Callable[[BrokerDelivery], Any], *, parallelism: int = 20
) -> AbstractAsyncContextManager[None]:
    """Consumes the queue that has the prefix as its name; dead letters go to a queue beside it."""
    return broker.consume(prefix, parallelism=parallelism, handler=handler, dead_letters=f"{prefix}.dead")


async def published(broker: Broker, sent: Event, *, exchange: str, within: float = 20) -> None:
    """Publishes an event until the broker confirms it and a queue takes it, as a caller does."""
    async with asyncio.timeout(within):
        while True:
            with contextlib.suppress(TemporaryError):
                if await broker.publish(sent, exchange=exchange):
                    return
            await asyncio.sleep(0.05)
