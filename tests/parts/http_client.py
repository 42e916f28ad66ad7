"""Requests of the product's HTTP client in tests, and a server that answers when it is told to."""

import asyncio

from tests.parts.upstream import read_request

from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def fetch(
    client: HttpClient, url: str, *, first_byte: float = 5, total: float = 5, **kwargs: object
) -> tuple[int, bytes]:
    """Sends a request and returns the status and the whole body; the times are in seconds."""
    response = await client.request(Target.parse(url), first_byte=first_byte, total=total, **kwargs)  # type: ignore[arg-type]
    async with response:
        return response.status, await response.read(limit=10_000_000)


class Gate:
    """A server that answers once `open` is set; `asked` gets an entry for each request that arrives."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[None] = asyncio.Queue()
        self.open = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            self.asked.put_nowait(None)
            await self.open.wait()
            writer.write(OK)
