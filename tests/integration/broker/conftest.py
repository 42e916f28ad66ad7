import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from tests.parts.broker import QUICK

from lambdaagent.broker.inprocess import InProcessBroker
from lambdaagent.broker.protocol import Broker, BrokerDelivery
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker


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


@asynccontextmanager
async def consuming(
    broker: Broker, queue: str, handler: Callable[[BrokerDelivery], object], names: Names, *, parallelism: int = 10
) -> AsyncIterator[None]:
    async with broker.consume(queue, parallelism=parallelism, handler=handler, dead_letters=names.dead):  # type: ignore[arg-type]
        yield
