"""Many event streams at once through one gateway: what one costs in memory, and how late its events are.

The agent writes the time into each event; the reader compares. Both are on the core that the gateway does not have,
so what they wait for each other is in the delay too: the same streams without the gateway tell how much that is.
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import gateway_parts as parts

FEW = 20
PORTS = 8  # a pool has 256 connections to one target
SENT = re.compile(rb'(?:^data: |"text":")(\d{6,})')
EVERY = 2.0  # seconds between two events of a stream


@contextlib.contextmanager
def agents(*, count: int) -> Iterator[list[str]]:
    ports = [parts.free_port() for _ in range(PORTS)]
    arguments = [*map(str, ports), str(EVERY), str(count)]
    with parts.process(sys.executable, "-m", "benchmarks.streaming_agent", *arguments, core=parts.REST, port=ports[-1]):
        yield [f"http://127.0.0.1:{port}" for port in ports]


@dataclass(frozen=True, slots=True)
class Found:
    delays: list[float]  # of the events, in seconds
    each: float  # bytes of the gateway's memory per stream
    share: float  # of its core that the gateway used


def resident(pid: int) -> int:
    """Bytes of memory that the process has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def read(url: str, path: str, *, delays: list[float], opened: asyncio.Semaphore, done: asyncio.Event) -> None:
    """One stream until `done`. The agent's own lines hold nothing but the time."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=256 * 1024)
    body = parts.MESSAGE.replace("SendMessage", "SendStreamingMessage").encode()
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nA2A-Version: 1.0\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise SystemExit(head.decode())
    opened.release()
    while not done.is_set():
        found = SENT.search(await reader.readline())
        if found is not None:
            delays.append((time.monotonic_ns() - int(found[1])) / 1e9)
    writer.close()


async def load(targets: list[tuple[str, str]], *, server: parts.Server | None, seconds: float) -> Found:
    """`targets` are where each stream is asked for: URL and path."""
    done, opened, delays = asyncio.Event(), asyncio.Semaphore(0), list[float]()
    before = resident(server.pid) if server else 0
    reading = [asyncio.create_task(read(url, path, delays=delays, opened=opened, done=done)) for url, path in targets]
    for _ in targets:
        await opened.acquire()
    await asyncio.sleep(EVERY * 2)
    delays.clear()
    used, began = server.cpu() if server else 0.0, time.perf_counter()
    await asyncio.sleep(seconds)
    share = (server.cpu() - used) / (time.perf_counter() - began) if server else 0.0
    each = (resident(server.pid) - before) / len(targets) if server else 0.0
    found = Found(list(delays), each, share)
    done.set()
    await asyncio.wait(reading, timeout=EVERY * 3)
    return found


def measure(*, streams: int, seconds: float) -> None:
    print(f"\nStreams, an event each {EVERY:g} s")
    with agents(count=int((seconds + 120) / EVERY)) as urls:
        for many in (FEW, streams):
            alone = [(urls[number % PORTS], "/") for number in range(many)]
            show(many, "the agent alone", uvloop.run(load(alone, server=None, seconds=seconds)))
            with parts.python("benchmarks.gateway_server", ",".join(urls), "memory", str(PORTS)) as server:
                through = [(server.url, f"/agents/bench/a{number % PORTS}/api/a2a") for number in range(many)]
                show(many, "the gateway", uvloop.run(load(through, server=server, seconds=seconds)))


def show(many: int, name: str, found: Found) -> None:
    delays = "  ".join(f"p{at * 100:g} {parts.quantile(found.delays, at) * 1000:7.2f} ms" for at in (0.5, 0.95, 0.99))
    memory = f"{found.each / 1024:6.1f} KiB each  {found.share:4.0%} of its core" if found.each else ""
    print(f"  {many:5} streams, {name:16} {delays}  {memory}")
