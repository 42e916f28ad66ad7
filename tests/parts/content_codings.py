"""Bodies with a content coding on their way through a gateway, and a container that shows what reached it."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from tests.parts.gateway import CHANGED, World, manifest, message, skill, world
from tests.parts.upstream import read_request

from lambdaagent.api.agent import parse
from lambdaagent.gateway import sidecar
from lambdaagent.gateway.directory import make_entry

A2A = "/agents/shop/echo/api/a2a"
SKILL = f"{A2A}/skills/say"
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t"}
GZIP = {"Content-Encoding": "gzip"}
V1 = {"A2A-Version": "1.0", "Content-Type": "application/json"}


@dataclass
class RawContainer:
    """Keeps head and body of every request in `seen`; the response has the number of the request and some of its body.

    It reads a body by the length that the head names, as containers do.
    """

    url: str = ""
    seen: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            self.seen.append((head.lstrip(), body))
            answer = b"answer %d to %b" % (len(self.seen), body[:20])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(answer))
            writer.write(answer)


def header(head: bytes, name: bytes) -> list[bytes]:
    """Returns all values of one header; `name` is in lower case."""
    pairs = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip() for key, _, value in pairs if key.lower() == name]


@asynccontextmanager
async def beside(container: RawContainer) -> AsyncIterator[World]:
    """Runs a gateway as the sidecar of this container."""
    agent = parse(manifest(a2a={"enabled": True, "mode": "sidecar", "skills": [skill("say")]}))
    entry = make_entry(agent, url=container.url, ready=True, last_modified=CHANGED)
    async with world(table=sidecar.table(entry, sink="")) as made:
        yield made


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    """Yields the body in pieces, so that aiohttp sends it without a length."""
    for at in range(0, len(body), 10_000):
        yield body[at : at + 10_000]


def rpc(text: str) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": message(text)}})


def rest(text: str) -> bytes:
    return orjson.dumps({"message": message(text)})


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "X-GZIP": gzip.compress,
    "deflate": zlib.compress,
    "identity": lambda body: body,
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "gzip, identity,, gzip": lambda body: gzip.compress(gzip.compress(body)),
}
