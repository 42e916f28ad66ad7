"""`python -m benchmarks.edges`: the lag of a gateway's loop and its memory at the edges of what it takes.

A body that decodes to a gigabyte, a coded body of the largest size, parts and events without number, and more calls
than there are connections. A
process of its own asks the gateway for `/healthz` meanwhile: its slowest answer is the lag of the loop. Each measure
has a new gateway, so that the peak of its memory is its own.
"""

import argparse
import asyncio
import gzip
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import orjson
import uvloop

from benchmarks import gateway_parts as parts

RPC, SKILL = "/agents/bench/a0/api/a2a", "/agents/bench/a0/api/a2a/skills/say"
CODED = {"Content-Encoding": "gzip", "Content-Type": "application/json", "A2A-Version": "1.0"}
Load = Callable[[str], Awaitable[str]]


def bomb() -> bytes:
    return gzip.compress(bytes(2**30), 1)


def message(size: int) -> bytes:
    text = os.urandom(size // 2).hex()
    body = orjson.loads(parts.MESSAGE)
    body["params"]["message"]["parts"][0]["text"] = text
    return gzip.compress(orjson.dumps(body), 1)


def empty_parts(size: int) -> bytes:
    body = orjson.loads(parts.MESSAGE)
    body["params"]["message"]["parts"] = [{}] * (size // 3)
    return orjson.dumps(body)


def batch(events: int) -> bytes:
    event = {"specversion": "1.0", "id": "1", "source": "/bench", "type": "bench"}
    return orjson.dumps([event] * events)


def posting(path: str, body: bytes, *, headers: Mapping[str, str] = CODED) -> Load:
    async def load(url: str) -> str:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session:
            try:
                async with session.post(url + path, data=body, headers=headers) as answer:
                    return f"{answer.status}, {len(await answer.read())} bytes"
            except (aiohttp.ClientError, TimeoutError) as error:
                return type(error).__name__

    return load


def many(path: str, body: str, *, calls: int) -> Load:
    async def load(url: str) -> str:
        found: dict[str, int] = {}

        async def one(session: aiohttp.ClientSession) -> None:
            async with session.post(url + path, data=body, headers=parts.JSON) as answer:
                said = await answer.read()
            key = f"{answer.status}{' failed' if b'STATE_FAILED' in said else ''}"
            found[key] = found.get(key, 0) + 1

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for _ in range(calls):
                group.create_task(one(session))
        return ", ".join(f"{count} x {key}" for key, count in sorted(found.items()))

    return load


async def slow_agent(port: int, seconds: float) -> asyncio.Server:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
                await asyncio.sleep(seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)


async def measure(title: str, load: Load, *, seconds: float) -> None:
    port = parts.free_port()
    agent = await slow_agent(port, seconds)
    # Started in a thread: the agent must answer meanwhile.
    with parts.python("benchmarks.gateway_server", f"http://127.0.0.1:{port}", "memory", "1") as gateway:
        await posting("/healthz", b"")(gateway.url)
        before = _peak(gateway.pid)
        probe = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.edges", "--probe", gateway.url], stdout=subprocess.PIPE, text=True
        )
        await asyncio.to_thread(probe.stdout.readline)  # type: ignore[union-attr]  # it has begun
        began = time.perf_counter()
        said = await load(gateway.url)
        took = time.perf_counter() - began
        probe.terminate()
        lag = await asyncio.to_thread(probe.communicate)
        peak = _peak(gateway.pid) - before
    agent.close()
    print(f"{title:44} {said:42} {took:6.2f} s   lag {lag[0].strip():>8} ms   memory +{peak:5.0f} MiB")


def _peak(pid: int) -> float:
    """MiB of memory at the most since it started."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


async def probing(url: str) -> None:
    """Until terminated; then the slowest answer, less what an answer takes when nothing else happens."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(15, ended.set)
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    times: list[float] = []
    while not ended.is_set():
        began = time.perf_counter()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"ok\n")
        times.append(time.perf_counter() - began)
        if len(times) == 20:
            print("begun", flush=True)
        await asyncio.sleep(0.002)
    print(f"{(max(times) - sorted(times)[len(times) // 2]) * 1000:.1f}")


async def main() -> None:
    largest, limit = message(10 * 2**20 - 1000), 10 * 2**20
    await measure("1 GiB of zeros in gzip, JSON-RPC", posting(RPC, bomb()), seconds=0)
    await measure("1 GiB of zeros in gzip, direct call", posting(SKILL, bomb()), seconds=0)
    await measure("10 MiB in gzip, JSON-RPC", posting(RPC, largest), seconds=0)
    await measure("10 MiB of gzip, direct call", posting(SKILL, gzip.compress(os.urandom(limit - 5_000))), seconds=0)
    await measure("6 MB of empty parts", posting(RPC, empty_parts(6_000_000), headers=parts.JSON), seconds=0)
    events = {"Content-Type": "application/cloudevents-batch+json"}
    await measure("150,000 events in one batch", posting("/events/bench", batch(150_000), headers=events), seconds=0)
    await measure("1,000 events in one batch", posting("/events/bench", batch(1_000), headers=events), seconds=0)
    await measure("300 direct calls at once, 0.2 s each", many(SKILL, parts.DIRECT, calls=300), seconds=0.2)
    await measure("300 direct calls at once, 6 s each", many(SKILL, parts.DIRECT, calls=300), seconds=6)
    await measure("300 messages at once, 6 s each", many(RPC, parts.MESSAGE, calls=300), seconds=6)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.edges")
    parser.add_argument("--probe", help="the URL of a gateway to ask until terminated")
    chosen = parser.parse_args()
    uvloop.run(probing(chosen.probe) if chosen.probe else main())
