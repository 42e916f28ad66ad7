"""What the events benchmark runs as processes of their own, each pinned to a core: `python -m benchmarks.events_parts`.

ingress AMQP PORT EXCHANGE                   the gateway's ingress on RabbitMQ
dispatch AMQP QUEUE PARALLELISM URL STORE    the dispatcher's consumer of one queue
publish|consume AMQP NAME COUNT              bare pika: confirmed publishes, consume and acknowledge
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pika
import uvloop
from pika.adapters.asyncio_connection import AsyncioConnection

from lambdaagent import clock as clocks
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.children.topology import Topology, topology
from lambdaagent.cli import logs
from lambdaagent.dispatcher.agent_handlers import Handlers
from lambdaagent.dispatcher.consumers import ConsumerSpec
from lambdaagent.dispatcher.metrics import DispatcherMetrics
from lambdaagent.gateway.config import GatewayConfig
from lambdaagent.gateway.directory import Directory
from lambdaagent.gateway.events.publishers import BrokerExchanges, Brokers, RabbitMQPublisher
from lambdaagent.gateway.serving import serve
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.settings import Installation
from lambdaagent.store.factory import open_store
from lambdaagent.store.memory import MemoryStore

INSTALLATION = Installation(events_url="", gateway_url="", eventing="rabbitmq")
WINDOW = 200


def agent(number: int = 0, *, subscriptions: int = 1, **eventing: Any) -> LambdaAgent:
    types = [{"eventType": f"bench.{number}.{each}"} for each in range(subscriptions)]
    return parse(
        {
            "metadata": {"name": f"a{number}", "namespace": "bench"},
            "spec": {"image": {"repository": "bench"}, "eventing": {"subscriptions": types, **eventing}},
            "status": {"eventingStatus": {"brokerName": "lambdaagents"}},
        }
    )


def topology_of(each: LambdaAgent) -> Topology:
    found = topology(each, INSTALLATION)
    assert found is not None
    return found


async def ingress(amqp: str, port: int) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(RabbitMQBroker(url=amqp, window=1024))
        await broker.wait_ready()
        directory = Directory()
        brokers = Brokers(directory)
        directory.upsert(agent(), url="http://127.0.0.1:1", ready=True, last_modified=datetime.now(UTC))
        await serve(
            stack,
            GatewayConfig(port=port, shutdown_timeout=1.0),
            directory=directory,
            store=MemoryStore(),
            publisher=RabbitMQPublisher(brokers, broker),
            exchanges=BrokerExchanges(brokers),
            client=HttpClient(),
            clock=clocks.system(),
            ready=lambda: None,
        )
        await asyncio.Event().wait()


async def dispatch(amqp: str, parallelism: int, url: str, database: str) -> None:
    each = agent(parallelism=parallelism)
    found = topology_of(each)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(RabbitMQBroker(url=amqp))
        store = (await open_store("" if database == "memory" else database)).store
        stack.push_async_callback(store.close)
        client = HttpClient()
        stack.push_async_callback(client.close)
        handlers = Handlers(INSTALLATION, broker, store, client, clocks.system(), DispatcherMetrics())
        handler = handlers.of(each, ConsumerSpec(found, Target.parse(url)))
        async with broker.consume(
            found.queue, parallelism=parallelism, handler=handler, dead_letters=found.dead_letters
        ):
            await asyncio.Event().wait()


async def bare(amqp: str, work: Callable[[Any, "asyncio.Future[float]"], None]) -> float:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    opened = loop.create_future()
    connection = AsyncioConnection(pika.URLParameters(amqp), on_open_callback=opened.set_result)
    await opened
    channel_open = loop.create_future()
    channel = connection.channel(on_open_callback=channel_open.set_result)
    await channel_open
    work(channel, done)
    seconds = await done
    connection.close()
    return seconds


def publishing(exchange: str, count: int) -> Callable[[Any, "asyncio.Future[float]"], None]:
    """With so many unconfirmed at most, as the ingress does it."""
    headers = {"specversion": "1.0", "id": "1", "type": "bench.0.0", "source": "/bench", "content-type": "text/plain"}
    properties = pika.BasicProperties(content_type="text/plain", message_id="1", delivery_mode=2, headers=headers)

    def work(channel: Any, done: "asyncio.Future[float]") -> None:
        state = {"sent": 0, "confirmed": 0}
        began = time.perf_counter()

        def fill() -> None:
            while state["sent"] < count and state["sent"] - state["confirmed"] < WINDOW:
                channel.basic_publish(exchange, "", b"x" * 50, properties)
                state["sent"] += 1

        def confirmed(frame: Any) -> None:
            tag = frame.method.delivery_tag
            state["confirmed"] = max(state["confirmed"], tag)
            if state["confirmed"] >= count and not done.done():
                done.set_result(time.perf_counter() - began)
            else:
                fill()

        channel.confirm_delivery(confirmed, callback=lambda _: fill())

    return work


def consuming(queue: str, count: int) -> Callable[[Any, "asyncio.Future[float]"], None]:
    def work(channel: Any, done: "asyncio.Future[float]") -> None:
        got = 0
        began = time.perf_counter()

        def on_message(_: Any, method: Any, _properties: Any, _body: bytes) -> None:
            nonlocal got
            got += 1
            channel.basic_ack(method.delivery_tag)
            if got == count:
                done.set_result(time.perf_counter() - began)

        channel.basic_qos(
            prefetch_count=WINDOW, callback=lambda _: channel.basic_consume(queue, on_message_callback=on_message)
        )

    return work


def main() -> None:
    logs.configure(level="error", form="text")
    match sys.argv[1:]:
        case ["ingress", amqp, port]:
            uvloop.run(ingress(amqp, int(port)))
        case ["dispatch", amqp, parallelism, url, database]:
            uvloop.run(dispatch(amqp, int(parallelism), url, database))
        case ["publish", amqp, exchange, count]:
            print(int(count) / uvloop.run(bare(amqp, publishing(exchange, int(count)))))
        case ["consume", amqp, queue, count]:
            print(int(count) / uvloop.run(bare(amqp, consuming(queue, int(count)))))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
