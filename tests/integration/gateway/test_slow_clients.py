"""Clients that send their requests for ever, on raw sockets: each is ended, and who is only slow is not."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import pytest
from tests.parts.gateway import World, skill, world
from tests.parts.polling import eventually
from tests.parts.upstream import PlainAgent, raw_server, read_request, talking_agent

from lambdaagent.gateway.http.bodies import Pace

A2A = b"/agents/shop/echo/api/a2a"
SKILL = A2A + b"/skills/say"
WORD = b"POST %b HTTP/1.1\r\nHost: x\r\n"
WAYS = [
    pytest.param(WORD % A2A, id="JSON-RPC"),
    pytest.param(WORD % (A2A + b"/message:send"), id="REST"),
    pytest.param(WORD % SKILL, id="skill, a body of a known length"),
    pytest.param(WORD % b"/events/shop", id="events"),
    pytest.param(WORD % SKILL + b"Prefer: respond-async\r\n", id="skill as a task"),
]


class Client:
    """A client that sends a beginning and then single bytes without end."""

    def __init__(self, world: World) -> None:
        self._port = int(world.url.rpartition(":")[2])

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def drip(self, byte: bytes, *, every: float = 0.02) -> bytes:
        """Sends bytes until the gateway closes the connection, and returns what the gateway sent."""
        said = bytearray()
        reading = asyncio.ensure_future(self._read(said))
        async with asyncio.timeout(10):
            while not reading.done():
                self.writer.write(byte)
                await asyncio.wait([reading], timeout=every)
        await reading
        return bytes(said)

    async def _read(self, said: bytearray) -> None:
        # What is sent to a connection that was just closed is answered by a reset.
        with contextlib.suppress(ConnectionResetError):
            while piece := await self.reader.read(64 * 1024):
                said += piece


@pytest.fixture
async def strict(container: PlainAgent) -> AsyncIterator[World]:
    async with world(idle=1.0, pace=Pace(patience=1.0, rate=1_000)) as made:
        made.agent(url=container.url)
        yield made


async def test_a_connection_that_says_nothing_is_closed(strict: World) -> None:
    async with Client(strict) as client, asyncio.timeout(10):
        assert await client.reader.read() == b""


async def test_a_head_that_never_ends_is_cut(strict: World) -> None:
    async with Client(strict) as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nX-Long: ")
        assert await client.drip(b"a") == b""


async def test_a_second_head_that_never_ends_is_cut(strict: World) -> None:
    async with Client(strict) as client:
        client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nX-Long: ")
        assert (await client.drip(b"a")).count(b"HTTP/1.1 200") == 1


@pytest.mark.parametrize("head", WAYS)
async def test_a_body_that_never_ends_is_answered_408_and_the_connection_closed(strict: World, head: bytes) -> None:
    async with Client(strict) as client:
        client.writer.write(head + b"Content-Length: 5000\r\n\r\n{")
        said = await client.drip(b" ")
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in said.lower()
        assert b"body-too-slow" in said


async def test_a_stream_that_stops_coming_is_cut_and_so_is_its_call(strict: World) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"part")
        while await reader.read(100):
            pass
        ended.put_nowait("closed")

    async with raw_server(conversation) as url:
        strict.agent(url=url)
        async with Client(strict) as client:
            client.writer.write(WORD % SKILL + b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
            async with asyncio.timeout(10):
                assert (await client.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 408 ")
                assert await ended.get() == "closed"


async def test_a_stream_may_be_slower_than_a_body_that_is_kept(strict: World) -> None:
    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async with raw_server(conversation) as url:
        strict.agent(url=url)
        async with Client(strict) as client:
            client.writer.write(WORD % SKILL + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            for _ in range(20):  # more than the patience, at a fiftieth of the rate
                await asyncio.sleep(0.06)
                client.writer.write(b"1\r\na\r\n")
            client.writer.write(b"0\r\n\r\n")
            async with asyncio.timeout(10):
                said = await client.reader.read()
            assert said.startswith(b"HTTP/1.1 200 ")
            assert said.endswith(b"a" * 20)


async def test_a_body_that_comes_at_the_rate_takes_as_long_as_it_is(strict: World) -> None:
    async with Client(strict) as client:
        client.writer.write(WORD % A2A + b"Content-Length: 10000\r\nConnection: close\r\n\r\n")
        for _ in range(20):  # more than the patience alone
            await asyncio.sleep(0.06)
            client.writer.write(b" " * 500)
        async with asyncio.timeout(10):
            assert (await client.reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_a_container_that_takes_a_stream_slowly_is_not_the_clients_fault(strict: World) -> None:
    size = 8 * 1024 * 1024

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1.5)  # more than the patience, with buffers full behind it
        await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async with raw_server(conversation) as url:
        strict.agent(url=url, skills=[skill("say")])
        response = await strict.request("POST", SKILL.decode(), data=io.BytesIO(bytes(size)))
        assert (response.status, response.body) == (200, b"ok")


async def test_a_body_over_the_limit_that_comes_in_pieces_is_a_413(container: PlainAgent) -> None:
    async with world(max_body=2048) as gateway:
        gateway.agent(url=container.url)
        async with Client(gateway) as client:
            client.writer.write(WORD % A2A + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            for _ in range(4):
                client.writer.write(b"400\r\n%b\r\n" % (b" " * 1024))
                await asyncio.sleep(0.01)
            async with asyncio.timeout(10):
                assert (await client.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413 ")


BIG = 24 * 1024 * 1024


@pytest.fixture
async def impatient(container: PlainAgent) -> AsyncIterator[World]:
    container.respond = lambda _: (200, {"Content-Type": "application/octet-stream"}, bytes(BIG))
    async with world(stalled=0.5) as made:
        made.agent(url=container.url)
        yield made


async def test_a_client_that_takes_no_response_is_disconnected(impatient: World) -> None:
    async with Client(impatient) as client:
        client.writer.write(WORD % SKILL + b"Content-Length: 0\r\n\r\n")
        await asyncio.sleep(2)
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(20):
                while piece := await client.reader.read(1024 * 1024):
                    taken += len(piece)
        assert taken < BIG


async def test_a_client_that_takes_its_response_slowly_gets_all_of_it(impatient: World) -> None:
    async with Client(impatient) as client:
        client.writer.write(WORD % SKILL + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        taken = 0
        async with asyncio.timeout(20):
            while piece := await client.reader.read(1024 * 1024):
                taken += len(piece)
                await asyncio.sleep(0.02)
        assert taken > BIG


async def test_a_stream_that_nobody_reads_ends_and_frees_its_place() -> None:
    async with talking_agent() as agent, world(stalled=0.5) as found:
        found.agent(url=agent.url)
        for number in range(40):
            artifact = {"artifactId": str(number), "parts": [{"text": "x" * 400_000}]}
            agent.say({"artifactUpdate": {"artifact": artifact}})
        body = b'{"jsonrpc":"2.0","id":1,"method":"SendStreamingMessage","params":{"message":{"messageId":"m",'
        body += b'"role":"ROLE_USER","parts":[{"text":"hi"}]}}}'
        async with Client(found) as client:
            head = WORD % A2A + b"A2A-Version: 1.0\r\nContent-Type: application/json\r\n"
            client.writer.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await eventually(lambda: found.streams.open == 1)
            await eventually(lambda: found.streams.open == 0)
