"""Containers to call: a plain `http.server` one as users write it, and a raw one that misbehaves on purpose."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class PlainAgent:
    """Answers what `respond` says: (status, headers, body)."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    respond: Callable[[Seen], tuple[int, dict[str, str], bytes]] | None = None

    def answer(self, request: Seen) -> tuple[int, dict[str, str], bytes]:
        if self.respond is not None:
            return self.respond(request)
        payload = json.loads(request.body or b"null")
        text = payload.get("text") if isinstance(payload, dict) else None
        return 200, {"Content-Type": "application/json"}, json.dumps({"you_said": text, "got": payload}).encode()


@contextmanager
def plain_agent() -> Iterator[PlainAgent]:
    agent = PlainAgent()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            agent.seen.append(seen)
            status, headers, answer = agent.answer(seen)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    agent.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield agent
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(conversation: Conversation) -> AsyncIterator[str]:
    """One conversation per connection; whatever is still going on at the end is cut."""
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


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of a request with a length or chunks."""
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
    """Answers each call with events, one by one as the test puts them; None ends the answer."""

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
