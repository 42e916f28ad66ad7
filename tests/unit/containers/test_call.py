"""A call for a task: a container that is only starting, one that is cut off, and one that talks for a while."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.parts.process import free_port

from lambdaagent import media_types
from lambdaagent.api.agent import parse
from lambdaagent.clock import system
from lambdaagent.containers.call import HttpCaller
from lambdaagent.containers.callee import Callee, callee
from lambdaagent.containers.turn import Turn
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target

Json = dict[str, Any]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


def agent(port: int, **spec: Any) -> Callee:
    document = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"image": {"repository": "example.com/a"}} | spec}
    return callee(parse(document), target=Target.parse(f"http://127.0.0.1:{port}"))


def turn(called: Callee, *, timeout: float = 10) -> Turn:
    message = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}
    return Turn(callee=called, skill=None, message=message, task_id="t", context_id="c", timeout=timeout)


async def said(asked: Turn, **options: Any) -> list[list[Json]]:
    client = HttpClient()
    try:
        return [batch async for batch in HttpCaller(client=client, clock=system(), **options).stream(asked)]
    finally:
        await client.close()


def words(batch: list[Json]) -> str:
    return str(batch[-1]["statusUpdate"]["status"]["message"]["parts"][0]["text"])


@asynccontextmanager
async def listening(serve: Serve, port: int = 0) -> AsyncIterator[int]:
    async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve_once, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nup")
    await writer.drain()


async def test_a_container_that_is_starting_is_waited_for() -> None:
    port = free_port()
    asking = asyncio.create_task(said(turn(agent(port))))
    await asyncio.sleep(0.3)
    async with listening(plain, port):
        (batch,) = await asyncio.wait_for(asking, 10)
    assert batch[0]["artifactUpdate"]["artifact"]["parts"] == [{"text": "up"}]


@pytest.mark.parametrize(("timeout", "cold_start"), [(0.4, 10.0), (10.0, 0.4)], ids=["deadline", "patience"])
async def test_one_that_never_comes_is_given_up_in_time(timeout: float, cold_start: float) -> None:
    async with asyncio.timeout(20):
        (batch,) = await said(turn(agent(free_port()), timeout=timeout), cold_start=cold_start)
    assert re.search("(does|did) not accept a? ?connection", words(batch))  # the deadline may come during an attempt


async def test_an_answer_that_is_cut_at_the_serving_limit_names_the_limit() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD % b"text/event-stream" + b"9\r\ndata: a\n\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()

    async with listening(cut) as port:
        first, last = await said(turn(agent(port, serving={"timeoutSeconds": 1})))
    assert first[0]["artifactUpdate"]["artifact"]["parts"] == [{"text": "a"}]
    assert words(last).startswith("The response was cut off after 1 s, the limit of this agent")


async def test_one_that_is_cut_earlier_does_not() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with listening(cut) as port:
        (batch,) = await said(turn(agent(port)))
    assert words(batch) == "The agent did not answer properly: it dropped the connection without answering."


async def test_pieces_are_told_as_they_come() -> None:
    told: list[str] = []

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD % media_types.EVENT_STREAM.encode())
        for number in range(3):
            data = f"data: {number}\n\n".encode()
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            while len(told) <= number:  # the next one only when this one has arrived
                await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")

    client = HttpClient()
    try:
        async with asyncio.timeout(10), listening(talk) as port:
            async for batch in HttpCaller(client=client, clock=system()).stream(turn(agent(port))):
                told += [
                    update["artifactUpdate"]["artifact"]["parts"][0]["text"]
                    for update in batch
                    if "artifactUpdate" in update
                ]
    finally:
        await client.close()
    assert told == ["0", "1", "2"]
