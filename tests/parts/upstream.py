"""Containers for the gateway to call: one on `http.server` as users write it, and raw ones that break the protocol."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from tests.parts.http_servers import Handler, Response, ThreadedServer


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class PlainAgent:
    """A container that keeps its requests in `seen`; `respond` returns what it answers, by default the text it got."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    respond: Callable[[Seen], Response] | None = None

    def answer(self, request: Seen) -> Response:
        if self.respond is not None:
            return self.respond(request)
        payload = json.loads(request.body or b"null")
        text = payload.get("text") if isinstance(payload, dict) else None
        return 200, {"Content-Type": "application/json"}, json.dumps({"you_said": text, "got": payload}).encode()


class _PlainServer(ThreadedServer):
    def __init__(self, agent: PlainAgent) -> None:
        self.agent = agent
        super().__init__(_PlainHandler)


class _PlainHandler(Handler):
    server: _PlainServer

    def do_POST(self) -> None:
        seen = Seen(self.command, self.path, self.lowered(), self.body())
        self.server.agent.seen.append(seen)
        self.respond(*self.server.agent.answer(seen))

    def do_GET(self) -> None:
        self.do_POST()


@contextmanager
def plain_agent() -> Iterator[PlainAgent]:
    """Serves a container with Python's own `http.server`, until the end of the block."""
    agent = PlainAgent()
    server = _PlainServer(agent)
    agent.url = server.url
    try:
        yield agent
    finally:
        server.close()


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(conversation: Conversation) -> AsyncIterator[str]:
    """Serves each connection with one conversation and yields the URL; the end of the block cancels conversations."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await conversation(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=5)
        await server.wait_closed()


def saying(*pieces: bytes, close: bool = False) -> Conversation:
    """Answers each request with these pieces, one write each; `close` ends the connection after the first."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if close:
                return

    return conversation


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Returns head and body of a request, which has a length or is chunked."""
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        body = b""
        while True:
            size = int(await reader.readline(), 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if not size:
                return head, body
    length = int(lowered.split(b"content-length:")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


@dataclass
class TalkingAgent:
    """A container that streams: it sends each event that the test puts with `say`; None ends the response."""

    url: str = ""
    pieces: "asyncio.Queue[dict[str, object] | None]" = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *pieces: "dict[str, object] | None") -> None:
        for piece in pieces:
            self.pieces.put_nowait(piece)


@asynccontextmanager
async def talking_agent() -> AsyncIterator[TalkingAgent]:
    agent = TalkingAgent()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while True:
                piece = asyncio.ensure_future(agent.pieces.get())
                await asyncio.wait([piece, gone], return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    piece.cancel()
                    return
                if piece.result() is None:
                    return
                writer.write(b"data: %b\n\n" % json.dumps(piece.result()).encode())
                await writer.drain()
        finally:
            gone.cancel()
            agent.closed.set()

    async with raw_server(talk) as url:
        agent.url = url
        yield agent
