"""How many connections the client opens to a host, who waits for one, and when idle ones are closed."""

import asyncio
import contextlib

import pytest
from tests.parts.http_client import OK, Gate, fetch
from tests.parts.upstream import raw_server, read_request

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BusyError, ConnectError, DroppedError
from lambdaagent.httpclient.pool import PoolLimits
from lambdaagent.httpclient.wire import Target


async def test_connections_are_kept_and_reused(client: HttpClient) -> None:
    connections: set[asyncio.StreamWriter] = set()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        while True:
            await read_request(reader)
            writer.write(OK)

    async with raw_server(conversation) as url:
        for _ in range(5):
            await fetch(client, url, body=b"x")
    assert len(connections) == 1


async def test_more_callers_than_connections_wait_and_then_hear_that_it_is_busy(client: HttpClient) -> None:
    gate = Gate()
    async with raw_server(gate) as url:
        held = [asyncio.create_task(fetch(client, url)) for _ in range(2)]
        for _ in held:
            await asyncio.wait_for(gate.asked.get(), 20)
        with pytest.raises(BusyError, match=r"all 2 connections to .* stayed in use for 0\.05 s"):
            await fetch(client, url, first_byte=0.05)
        waiting = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        gate.open.set()
        assert [answer[1] for answer in await asyncio.gather(*held, waiting)] == [b"ok"] * 3


async def test_the_queue_of_waiting_callers_is_bounded_and_a_caller_that_leaves_it_passes_its_turn_on() -> None:
    client = HttpClient(limits=PoolLimits(connections=1, waiting=1))
    gate = Gate()
    async with raw_server(gate) as url:
        held = asyncio.create_task(fetch(client, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        leaving = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match="are in use and 1 callers wait"):
            await fetch(client, url)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        staying = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        gate.open.set()
        assert (await held, await staying) == ((200, b"ok"), (200, b"ok"))
        await client.close()


async def test_closing_the_client_tells_those_who_use_it_and_those_who_wait() -> None:
    client = HttpClient(limits=PoolLimits(connections=1))
    gate = Gate()
    async with raw_server(gate) as url:
        held = asyncio.create_task(fetch(client, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        waiting = asyncio.create_task(fetch(client, url))
        await asyncio.sleep(0)
        await client.close()
        outcomes = await asyncio.gather(held, waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DroppedError, ConnectError]


async def test_idle_connections_are_closed_in_time(client: HttpClient) -> None:
    ended = asyncio.Event()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.set()

    async with raw_server(conversation) as url:
        await fetch(client, url)
        pool = client._pool(Target.parse(url))
        pool.sweep(asyncio.get_running_loop().time())
        assert not pool.unused
        pool.sweep(asyncio.get_running_loop().time() + 31)
        assert pool.unused
        await asyncio.wait_for(ended.wait(), 20)
        client._sweep()
        assert client._pools == {}


async def test_a_caller_that_comes_again_at_once_does_not_overtake_those_who_wait() -> None:
    client, gate = HttpClient(limits=PoolLimits(connections=1)), Gate()
    order: list[str] = []

    async def calls(name: str, count: int, url: str) -> None:
        for _ in range(count):
            await fetch(client, url)
            order.append(name)

    async with raw_server(gate) as url:
        greedy = asyncio.create_task(calls("greedy", 10, url))
        await asyncio.wait_for(gate.asked.get(), 20)
        patient = [asyncio.create_task(calls(f"patient {number}", 1, url)) for number in range(3)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(greedy, *patient)
    await client.close()
    assert order[:4] == ["greedy", "patient 0", "patient 1", "patient 2"]
