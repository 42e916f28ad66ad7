"""Bodies that the client streams: in both directions, of any length, and at the pace of the reader."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.parts.http_client import OK, fetch
from tests.parts.upstream import raw_server, read_request, saying

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.errors import BodyLengthError
from lambdaagent.httpclient.wire import Target


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("length", [None, 4], ids=["chunked", "with a length"])
async def test_a_streamed_body_arrives_whole(client: HttpClient, length: int | None) -> None:
    got: list[bytes] = []

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append((await read_request(reader))[1])
        writer.write(OK)
        await reader.read()

    async with raw_server(conversation) as url:
        assert (await fetch(client, url, body=pieces(b"ab", b"", b"cd"), length=length))[1] == b"ok"
    assert got == [b"abcd"]


async def test_a_source_that_fails_fails_the_request_with_its_own_error(client: HttpClient) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise LookupError("the client went away")

    async with raw_server(saying(OK)) as url:
        with pytest.raises(LookupError, match="went away"):
            await fetch(client, url, body=broken())


async def test_an_early_answer_ends_a_request_that_is_still_being_sent(client: HttpClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async with raw_server(refusing) as url:
        assert (await fetch(client, url, body=endless()))[0] == 413


async def test_a_slow_reader_slows_the_container_and_not_this_process_memory(client: HttpClient) -> None:
    sent = 0

    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
        for _ in range(640):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with raw_server(flooding) as url:
        response = await client.request(Target.parse(url), first_byte=5, total=30)
        async with response:
            held = -1
            while sent != held:
                held = sent
                await asyncio.sleep(0.1)
            assert held < 20_000_000
            assert len(await response.read(limit=64_000_000)) == 64_000_000


@pytest.mark.parametrize("length", [0, 1, 5, 99_999])
@pytest.mark.parametrize("difference", [-1, 1, 50_000])
@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_body_that_is_not_as_long_as_was_said_is_not_finished_and_ends_the_connection(
    client: HttpClient, length: int, difference: int, pieces: int
) -> None:
    """The bytes beyond would be the container's next request, and its answer the next caller's."""
    actual = length + difference
    if actual < 0:
        actual = length + 1
    seen, ended = bytearray(), asyncio.Event()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(64 * 1024):
                seen.extend(piece)
        ended.set()

    async def body() -> AsyncIterator[bytes]:
        for at in range(0, actual, max(1, -(-actual // pieces))):
            yield b"x" * min(max(1, -(-actual // pieces)), actual - at)

    async with raw_server(conversation) as url:
        with pytest.raises(BodyLengthError, match=f"length of {length}"):
            await fetch(client, url, body=body(), length=length)
        await asyncio.wait_for(ended.wait(), 20)
    assert len(seen.partition(b"\r\n\r\n")[2]) <= length
