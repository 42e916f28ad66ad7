"""RabbitMQ fails in every way that a test can make it fail; nothing that was confirmed is lost."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.parts.broker import EVERYTHING, QUICK, Inbox, connected, consume, event, link, published
from tests.parts.polling import eventually
from tests.parts.process import free_port
from tests.parts.proxy import proxy
from tests.parts.rabbitmq import RabbitMQ

from lambdaagent.broker.bindings import Binding, ExchangeDeclaration
from lambdaagent.broker.errors import (
    BlockedError,
    BrokerUnavailableError,
    NotConfirmedError,
)
from lambdaagent.broker.rabbitmq import topology
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker
from lambdaagent.errors import TemporaryError
from lambdaagent.events.dead_letter_headers import DeathCause

CAUSE = DeathCause("default/a", "the agent answered 400", 1.0)
_ROOT = Path(__file__).parents[3]


@pytest.fixture
async def broker(own_rabbitmq: RabbitMQ) -> AsyncIterator[RabbitMQBroker]:
    async with connected(own_rabbitmq.url) as found:
        yield found


@pytest.mark.parametrize("how", [pytest.param("kill", id="kill -9"), pytest.param("restart", id="orderly restart")])
async def test_every_confirmed_event_survives_a_broker_that_goes_while_publishing(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str, how: str
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    confirmed: set[str] = set()
    stop = asyncio.Event()

    async def publish(worker: int) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            try:
                assert await broker.publish(event(f"{worker}-{n}"), exchange=amqp_prefix)
                confirmed.add(f"{worker}-{n}")
            except TemporaryError:
                continue  # not confirmed, so not counted; a real caller would publish it again

    inbox = Inbox()
    async with consume(broker, amqp_prefix, inbox), asyncio.TaskGroup() as tasks:
        for worker in range(8):
            tasks.create_task(publish(worker))
        await eventually(lambda: len(confirmed) > 200)
        if how == "kill":
            await asyncio.to_thread(own_rabbitmq.kill)
            await asyncio.to_thread(own_rabbitmq.start)
        else:
            await asyncio.to_thread(own_rabbitmq.restart)
        before = len(confirmed)
        await eventually(lambda: len(confirmed) > before + 200, within=60)
        stop.set()
        await eventually(lambda: confirmed <= set(inbox.ids), within=60, what="confirmed events are missing")


_CONSUMER = """
import asyncio, sys
from lambdaagent.broker.rabbitmq.broker import RabbitMQBroker

async def main():
    async def handler(delivery):
        sys.stderr.write(f"got {delivery.event.id}\\n")
        sys.stderr.flush()
        await asyncio.Event().wait()

    async with RabbitMQBroker(url=sys.argv[1]) as broker:
        async with broker.consume(sys.argv[2], parallelism=5, handler=handler, dead_letters=sys.argv[2] + ".dead"):
            await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_what_a_killed_consumer_was_handling_is_delivered_again(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CONSUMER, own_rabbitmq.url, amqp_prefix),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        await broker.publish(event("held"), exchange=amqp_prefix)
        assert process.stderr is not None
        assert await asyncio.wait_for(process.stderr.readline(), 20) == b"got held\n"
        os.kill(process.pid, signal.SIGKILL)
        inbox = Inbox()
        async with consume(broker, amqp_prefix, inbox):
            await eventually(lambda: inbox.ids == ["held"])
        assert inbox.got[0].redelivered
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_broker_that_hangs_is_a_temporary_error_and_works_again(
    own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    async with connected(own_rabbitmq.url, publish_timeout=0.5, window=4) as broker:
        await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
        assert await broker.publish(event("before"), exchange=amqp_prefix)
        own_rabbitmq.pause()
        try:
            hung = [broker.publish(event(str(n)), exchange=amqp_prefix) for n in range(20)]
            answers = await asyncio.gather(*hung, return_exceptions=True)
        finally:
            own_rabbitmq.resume()
        assert all(isinstance(answer, NotConfirmedError) for answer in answers), answers
        inbox = Inbox()
        async with consume(broker, amqp_prefix, inbox):
            assert await broker.publish(event("after"), exchange=amqp_prefix)
            await eventually(lambda: "after" in inbox.ids)
        # The window kept the rest from being written to a broker that does not read.
        assert len(inbox.got) <= 2 + 4


async def test_a_broker_short_of_memory_blocks_publishers_and_not_consumers(
    own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    async with connected(own_rabbitmq.url, publish_timeout=1.0) as broker:
        await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
        for n in range(3):
            await broker.publish(event(str(n)), exchange=amqp_prefix)
        await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0.000001")
        try:
            # RabbitMQ says so only when somebody publishes.
            with pytest.raises(TemporaryError):
                await broker.publish(event("first"), exchange=amqp_prefix)
            await eventually(lambda: not broker.ready)
            with pytest.raises(BlockedError, match="short of memory"):
                await broker.publish(event("second"), exchange=amqp_prefix)
            inbox = Inbox()
            async with consume(broker, amqp_prefix, inbox):
                await eventually(lambda: {"0", "1", "2"} <= set(inbox.ids))
        finally:
            await asyncio.to_thread(own_rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
        await asyncio.wait_for(broker.wait_ready(), 20)
        assert await broker.publish(event("third"), exchange=amqp_prefix)


async def test_a_connection_that_goes_silent_is_made_again(own_rabbitmq: RabbitMQ, amqp_prefix: str) -> None:
    async with proxy(own_rabbitmq.port) as network:
        url = own_rabbitmq.url.replace(str(own_rabbitmq.port), str(network.port))
        async with connected(url, publish_timeout=0.5, heartbeat=2) as broker:
            await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
            inbox = Inbox()
            async with consume(broker, amqp_prefix, inbox):
                assert await broker.publish(event("1"), exchange=amqp_prefix)
                network.partition()
                with pytest.raises(NotConfirmedError):
                    await broker.publish(event("2"), exchange=amqp_prefix)
                await eventually(lambda: not broker.ready, within=30)
                network.reset()
                network.heal()
                await asyncio.wait_for(broker.wait_ready(), 30)
                # On a busy machine the short heartbeat may end this connection as well.
                await published(broker, event("3"), exchange=amqp_prefix, within=30)
                await eventually(lambda: "3" in inbox.ids)


async def test_without_a_broker_nothing_is_confirmed() -> None:
    url = f"amqp://guest:guest@127.0.0.1:{free_port()}/%2F"
    async with RabbitMQBroker(url=url, publish_timeout=0.5, declare_timeout=0.5, backoff=QUICK) as broker:
        assert not broker.ready
        with pytest.raises(BrokerUnavailableError):
            await broker.publish(event(), exchange="x")
        with pytest.raises(BrokerUnavailableError, match="check that RabbitMQ can be reached"):
            await broker.declare(ExchangeDeclaration("x", {}))


async def test_a_topology_that_the_broker_lost_is_made_again(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    async with link(own_rabbitmq.url) as other:
        channel = await other.channel()
        for queue in (amqp_prefix, f"{amqp_prefix}.bindings"):
            await channel.call(channel.raw.queue_delete, queue=queue)
        await channel.call(channel.raw.exchange_delete, exchange=amqp_prefix)
        await channel.close()
    await asyncio.to_thread(own_rabbitmq.ctl, "close_all_connections", "a test")
    await published(broker, event(), exchange=amqp_prefix)


async def test_a_consumer_whose_queue_was_deleted_consumes_it_when_it_is_back(
    broker: RabbitMQBroker, amqp_prefix: str
) -> None:
    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
    inbox = Inbox()
    async with consume(broker, amqp_prefix, inbox):
        await broker.publish(event("1"), exchange=amqp_prefix)
        await eventually(lambda: inbox.ids == ["1"])
        await broker.remove_queue(amqp_prefix)
        await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: EVERYTHING}))
        await broker.publish(event("2"), exchange=amqp_prefix)
        await eventually(lambda: inbox.ids == ["1", "2"])


@pytest.mark.parametrize("calls", [pytest.param(n, id=f"after {n} changes") for n in range(5)])
async def test_a_process_that_dies_while_declaring_leaves_nothing_stale(
    broker: RabbitMQBroker, own_rabbitmq: RabbitMQ, amqp_prefix: str, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on(*types: str) -> list[Binding]:
        return [Binding({"type": type_}) for type_ in types]

    await broker.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: on("kept", "old1", "old2")}))
    real, left = topology._bind, calls

    async def dying(*args: Any, **more: Any) -> None:
        nonlocal left
        if not left:
            raise ConnectionAbortedError("as if killed here")
        left -= 1
        await real(*args, **more)

    monkeypatch.setattr(topology, "_bind", dying)
    async with connected(own_rabbitmq.url) as doomed:
        with pytest.raises(ConnectionAbortedError):
            await doomed.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: on("kept", "mid1", "mid2")}))
        assert await broker.publish(event(type_="kept"), exchange=amqp_prefix)
    monkeypatch.undo()
    async with connected(own_rabbitmq.url) as successor:
        await successor.declare(ExchangeDeclaration(amqp_prefix, {amqp_prefix: on("kept", "new")}))
        routed = {
            type_: await successor.publish(event(type_=type_), exchange=amqp_prefix)
            for type_ in ("kept", "new", "old1", "old2", "mid1", "mid2")
        }
    assert routed == {"kept": True, "new": True, "old1": False, "old2": False, "mid1": False, "mid2": False}
