"""Connections are limited, and one address does not take all of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.parts.polling import eventually

from lambdaagent.http_server import HeadLimits, ServerRunner, plain

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def ok(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.add_routes([web.get("/", ok)])
    runner = ServerRunner(app, limits=HeadLimits(), refusal=plain, connections=40)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


async def opened(port: int, source: str) -> _Streams | None:
    """Opens a connection and sends a request; None: the server closed it without an answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    line = b""
    with contextlib.suppress(ConnectionError):
        writer.write(ASKED)
        line = await asyncio.wait_for(reader.readline(), 10)
    if line.startswith(b"HTTP/1.1 200"):
        return reader, writer
    writer.close()
    return None


async def test_one_address_leaves_some_for_others(port: int) -> None:
    greedy = [await opened(port, "127.0.0.2") for _ in range(30)]
    held = [each for each in greedy if each is not None]
    assert len(held) == 20
    other = await opened(port, "127.0.0.3")
    assert other is not None
    # What is closed is free again.
    held[0][1].close()

    async def again() -> bool:
        found = await opened(port, "127.0.0.2")
        if found is not None:
            held.append(found)
        return found is not None

    await eventually(again)
    for _, writer in (*held, other):
        writer.close()
