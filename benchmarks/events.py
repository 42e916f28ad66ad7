"""`make bench-events`: ingress and dispatcher on RabbitMQ, each beside bare pika on the same server in the same run.

What is measured has core 0, everything else (RabbitMQ, agent, load) core 1. Bare pika publishes with confirms (200 out)
to the same exchange, and consumes and acknowledges (prefetch 200) from the same kind of queue. Nothing is asserted.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.postgres import Postgres
from tests.parts.rabbitmq import RabbitMQ

from benchmarks.events_parts import INSTALLATION, agent, topology_of
from benchmarks.gateway_parts import REST, SUT, Server, free_port, nginx, process, require_tools, wrk
from lambdaagent import clock as clocks
from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.dispatcher.agent_handlers import Handlers
from lambdaagent.dispatcher.consumers import ConsumerManager
from lambdaagent.dispatcher.metrics import DispatcherMetrics
from lambdaagent.errors import TemporaryError
from lambdaagent.events.cloudevents import Event
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.urls import DatabaseUrl

FOUND = topology_of(agent())
PART = (sys.executable, "-m", "benchmarks.events_parts")
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-type": "bench.0.0",
    "ce-source": "/bench",
    "content-type": "text/plain",
}


def bare(what: str, node: RabbitMQ, name: str, count: int) -> float:
    command = ["taskset", "-c", SUT, *PART, what, node.url, name, str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)


async def fill(broker: RabbitMQBroker, count: int) -> None:
    """Events of different ids: equal ones would be duplicates."""
    gate = asyncio.Semaphore(400)

    async def one(number: int) -> None:
        async with gate:
            event = Event(str(number), f"/bench/{time.time_ns()}", "bench.0.0", b"x" * 50, "text/plain")
            await broker.publish(event, exchange=FOUND.exchange)

    await asyncio.gather(*(one(number) for number in range(count)))


async def depth(broker: RabbitMQBroker, queue: str) -> int:
    channel = await broker._in.channel()
    try:
        frame = await channel.call(channel.raw.queue_declare, queue=queue, passive=True)
        return int(frame.method.message_count)
    finally:
        await channel.close()


async def drained(broker: RabbitMQBroker, queue: str, count: int, server: Server | None = None) -> tuple[float, float]:
    """Events per second from the first to the last, and per second of the server's processor time."""
    while (left := await depth(broker, queue)) >= count:
        await asyncio.sleep(0.02)
    began, first, used = time.perf_counter(), left, server.cpu() if server else 0.0
    while left := await depth(broker, queue):
        last, at = left, time.perf_counter()
        await asyncio.sleep(0.05)
        if time.perf_counter() - began > 240:
            raise SystemExit(f"{left} of {count} events are still there after 240 s")
    rate = (first - last) / (at - began) if at > began else float("nan")
    return rate, (first - last) / max(1e-6, (server.cpu() - used)) if server else 0.0


@contextmanager
def dispatching(node: RabbitMQ, parallelism: int, url: str, database: str) -> Iterator[Server]:
    """Pinned; it listens nowhere, so nothing is awaited."""
    command = ["taskset", "-c", SUT, *PART, "dispatch", node.url, str(parallelism), url, database]
    started = subprocess.Popen(command)
    try:
        yield Server(url, started.pid)
    finally:
        started.terminate()
        started.wait(30)


async def rates(
    node: RabbitMQ, broker: RabbitMQBroker, upstream: str, database: str, arguments: argparse.Namespace
) -> None:
    rounds: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        rounds.setdefault(name, []).append(value)

    for _ in range(arguments.rounds):
        await broker.remove_queue(FOUND.queue)
        broker.doubt()
        await declare(broker)
        note("bare pika, confirmed publishes", bare("publish", node, FOUND.exchange, arguments.events))
        note("bare pika, consume and acknowledge", bare("consume", node, FOUND.queue, arguments.events))
        port = free_port()
        with process(*PART, "ingress", node.url, str(port), core=SUT, port=port) as server:
            load = wrk(
                server, "/events/bench", body="x" * 50, connections=64, seconds=arguments.seconds, headers=HEADERS
            )
            if load.errors:
                print(f"ingress: {load.errors} errors")
            note("ingress", load.per_second)
            note("ingress, per processor second", load.per_cpu_second)
        for parallelism in (1, 10, 100):
            for store in ("memory", database):
                name = f"dispatcher at {parallelism}, {'memory' if store == 'memory' else 'PostgreSQL'}"
                await broker.remove_queue(FOUND.queue)
                broker.doubt()
                await declare(broker)
                await fill(broker, arguments.events)
                with dispatching(node, parallelism, upstream, store) as server:
                    rate, per_second = await drained(broker, FOUND.queue, arguments.events, server)
                note(name, rate)
                note(f"{name}, per processor second", per_second)
    found = {name: statistics.median(values) for name, values in rounds.items()}
    publishes, consumes = found["bare pika, confirmed publishes"], found["bare pika, consume and acknowledge"]
    print(f"{'':55}{'per second':>12}{'of bare pika':>14}")
    for name, value in found.items():
        base = publishes if "ingress" in name or "publishes" in name else consumes
        print(f"{name:55}{value:12,.0f}{value / base:14.2f}")
    await latency(node, broker, found["dispatcher at 10, memory"] / 10)


class Recorder(asyncio.Protocol):
    """An agent that says how long ago its events were sent: the time stands in their bodies."""

    times: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for body in data.split(b"\r\n\r\n")[1:]:
            self.times.append(time.time() - float(body[:20]))
            self.transport.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]


async def latency(node: RabbitMQ, broker: RabbitMQBroker, rate: float) -> None:
    """From publish to the agent, at a tenth of the maximum, in an open loop."""
    server = await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0)
    Recorder.times = []
    await broker.remove_queue(FOUND.queue)
    broker.doubt()
    await declare(broker)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with dispatching(node, 10, url, "memory"):
        await asyncio.sleep(3)
        sent: list[asyncio.Task[bool]] = []
        begin = time.perf_counter()
        for number in range(int(rate * 8)):
            await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            body = f"{time.time():<20.6f}".encode()
            event = Event(str(number), "/bench/latency", "bench.0.0", body, "text/plain")
            sent.append(asyncio.create_task(broker.publish(event, exchange=FOUND.exchange)))
        await asyncio.gather(*sent)
        await asyncio.sleep(1)
    times = sorted(Recorder.times)
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    print(f"publish to delivery at {rate:,.0f}/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms ({len(times)} events)")
    server.close()


async def declare(broker: RabbitMQBroker) -> None:
    bindings = [Binding(attributes) for attributes in FOUND.bindings]
    await broker.declare(ExchangeDeclaration(FOUND.exchange, {FOUND.queue: bindings}, dead_letters=FOUND.dead_letters))


async def many(node: RabbitMQ, number: int) -> None:
    """Agents with five subscriptions each: how long until all queues stand and are consumed, and what it takes."""
    memory = MemoryStore()
    async with RabbitMQBroker(url=node.url, declare_timeout=300) as broker:
        await broker.wait_ready()
        client = HttpClient()
        handlers = Handlers(INSTALLATION, broker, memory, client, clocks.system(), DispatcherMetrics())
        serving = ConsumerManager(broker, INSTALLATION, lambda _: True, handlers.of, say=lambda *_: None, failed=print)
        before, server = resident(os.getpid()), resident(server_pid(node))
        for each in range(number):
            serving.upsert(agent(each, subscriptions=5), Target.parse("http://127.0.0.1:1"))
        began = time.perf_counter()
        running = asyncio.create_task(serving.run())
        while not serving.standing:
            await asyncio.sleep(0.02)
        stands = time.perf_counter() - began
        while any(consumer._channel is None for consumer in broker._consumers) or len(broker._consumers) < number:
            await asyncio.sleep(0.02)
        print(
            f"{number} agents, {5 * number} bindings: declared in {stands:.1f} s, consumed after "
            f"{time.perf_counter() - began:.1f} s; dispatcher +{resident(os.getpid()) - before:.0f} MiB, "
            f"RabbitMQ +{resident(server_pid(node)) - server:.0f} MiB"
        )
        began = time.perf_counter()
        serving.upsert(agent(0, subscriptions=6), Target.parse("http://127.0.0.1:1"))
        await asyncio.sleep(0)
        while not any("bench.0.5" in str(each.queues) for each in broker._standing.values()):
            await asyncio.sleep(0.01)
        print(f"one more subscription of one of them: {time.perf_counter() - began:.2f} s")
        running.cancel()
        await asyncio.wait([running])
        for exchange in await broker.exchanges():
            for queue in await broker.queues(exchange):
                await broker.remove_queue(queue)
            await broker.remove_exchange(exchange)
        await client.close()


async def backlog(node: RabbitMQ, broker: RabbitMQBroker, events: int) -> None:
    """The agent is away, events pile up; it comes back."""
    await declare(broker)
    port = free_port()
    with dispatching(node, 100, f"http://127.0.0.1:{port}", "memory"):
        began = time.perf_counter()
        await fill(broker, events)
        filled = time.perf_counter() - began
        with nginx(core=REST, port=port, location="return 202;"):
            began = time.perf_counter()
            while await depth(broker, FOUND.queue):
                await asyncio.sleep(0.1)
            print(f"{events:,} events piled up in {filled:.0f} s, drained in {time.perf_counter() - began:.0f} s")


def resident(pid: int) -> float:
    """MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def server_pid(node: RabbitMQ) -> int:
    return node._running().pid


async def run(arguments: argparse.Namespace, node: RabbitMQ, database: str) -> None:
    port = free_port()
    with nginx(core=REST, port=port, location="return 202;") as upstream:
        async with RabbitMQBroker(url=node.url, window=1024) as broker:
            await broker.wait_ready()
            if arguments.only in ("", "rates"):
                await rates(node, broker, upstream.url, database, arguments)
            if arguments.only in ("", "backlog"):
                await backlog(node, broker, arguments.backlog)
        if arguments.only in ("", "many"):
            await many(node, arguments.agents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("", "rates", "backlog", "many"), default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--agents", type=int, default=500)
    arguments = parser.parse_args()
    require_tools()
    os.sched_setaffinity(0, {int(REST)})
    server = Postgres(durable=True)
    with tempfile.TemporaryDirectory() as folder:
        node = RabbitMQ(Path(folder))
        try:
            server.start()
            database = server.url(server.database())
            asyncio.run(migrating.migrate(DatabaseUrl(database)))
            node.start()
            asyncio.run(run(arguments, node, database))
        except TemporaryError as problem:
            raise SystemExit(str(problem)) from None
        finally:
            node.stop()
            server.remove()


if __name__ == "__main__":
    main()
