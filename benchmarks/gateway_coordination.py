"""`python -m benchmarks.gateway_coordination`: agents working together, 1,000 of them, on each kind of database.

Latencies are those of one client that waits for each answer, at a low rate; rates are those of 16 clients at once. A
message's delivery is from the begin of its POST until its receiver's long poll has it. One gateway on a core of its
own; PostgreSQL and the client share the other, with fsync on. Nothing is asserted.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from benchmarks import gateway_parts as parts

KINDS = ("memory", "SQLite", "PostgreSQL")
CLIENTS = 16


@contextmanager
def server(kind: str) -> Iterator[str]:
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        database = "memory"
        if kind == "SQLite":
            database = str(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "tasks.db")
        elif kind == "PostgreSQL":
            database = stack.enter_context(parts.postgres())
        yield stack.enter_context(parts.python("benchmarks.gateway_server", agent, database, "10")).url


class Client:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        async with self.session.request(method, self.url + path, json=body) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.status != 204 else None


async def timed(number: int, one: Callable[[int], Awaitable[Any]]) -> list[float]:
    found = []
    for n in range(number):
        begun = time.perf_counter()
        await one(n)
        found.append(time.perf_counter() - begun)
    return found


async def rate(number: int, one: Callable[[int], Awaitable[Any]]) -> float:
    """Return how many are done a second by several clients at once."""
    numbers = iter(range(number))

    async def work() -> None:
        for n in numbers:
            await one(n)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return number / (time.perf_counter() - begun)


def latency(name: str, values: list[float], aim: str = "") -> None:
    p50, p99 = (parts.quantile(values, at) * 1000 for at in (0.5, 0.99))
    print(f"  {name:34} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {aim}")


def speed(name: str, value: float) -> None:
    print(f"  {name:34} {value:8.0f} /s")


async def measure(url: str, *, agents: int, number: int) -> None:
    connector = aiohttp.TCPConnector(limit=CLIENTS + 8)
    async with aiohttp.ClientSession(connector=connector) as session:
        call = Client(session, url)
        capabilities = [f"c{n}" for n in range(20)]

        async def register(n: int) -> None:
            body = {"agent_id": f"agent-{n}", "capabilities": [capabilities[n % 20]], "ttl_seconds": 3600}
            await call("POST", "/a2a/register", body)

        speed(f"register {agents} agents", await rate(agents, register))
        latency("register again", await timed(number // 5, register))
        latency(
            "discover by capability",
            await timed(number // 5, lambda n: call("GET", f"/a2a/discover?capability=c{n % 20}")),
        )
        speed("heartbeats", await rate(number, lambda n: call("POST", f"/a2a/agents/agent-{n % agents}/heartbeat")))
        latency("message to delivery", await delivered(call, number), "required 100, aim p99 20")

        async def send(n: int) -> None:
            to = f"agent-{n % agents}"
            await call("POST", "/a2a/message", {"from": "agent-0", "to": to, "content": {"type": "query", "data": {}}})

        speed("messages accepted", await rate(2 * number, send))
        everybody = {"from": "agent-0", "to": "*", "content": {"type": "context", "data": {}}}
        latency(f"broadcast to {agents}", await timed(3, lambda _: call("POST", "/a2a/message", everybody)))
        data = {"id": "bench", "data": {"log": []}, "strategies": {"log": "union", "best": "max"}, "ttl_seconds": 3600}
        await call("POST", "/a2a/context", data)
        latency(
            "read a context",
            await timed(number, lambda _: call("GET", "/a2a/context/bench")),
            "required 50, aim p99 10",
        )
        change = {"best": 1}
        latency(
            "merge into a context",
            await timed(number, lambda n: call("PATCH", "/a2a/context/bench", change | {"n": n})),
            "required 50, aim p99 10",
        )
        speed(
            "merges into one context",
            await rate(number, lambda n: call("PATCH", "/a2a/context/bench", {f"k{n % 50}": n})),
        )
        speed("jobs submitted and done", await jobs(call, number))
        speed("votes", await votes(call, number))


async def delivered(call: Client, number: int) -> list[float]:
    """Return the seconds from the begin of each POST until the receiver has the message."""
    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def receive() -> None:
        while True:
            found = await call("GET", "/a2a/messages?agent=agent-1&wait=30&limit=10")
            for message in found["messages"]:
                arrived.put_nowait(message["message_id"])
                await call("POST", f"/a2a/messages/{message['message_id']}/ack?agent=agent-1")

    receiving = asyncio.create_task(receive())
    found = []
    for n in range(number):
        body = {
            "message_id": f"bench-{n}",
            "from": "agent-0",
            "to": "agent-1",
            "content": {"type": "query", "data": {}},
        }
        begun = time.perf_counter()
        sending = asyncio.create_task(call("POST", "/a2a/message", body))
        while await arrived.get() != f"bench-{n}":
            pass
        found.append(time.perf_counter() - begun)
        await sending
        await asyncio.sleep(0.005)
    receiving.cancel()
    return found


async def jobs(call: Client, number: int) -> float:
    begun = time.perf_counter()

    async def submit(n: int) -> None:
        body = {"job_id": f"bench-{n}", "task_type": "say", "strategy": "round-robin", "input_data": {"text": "x"}}
        await call("POST", "/a2a/jobs", body)

    await rate(number, submit)
    while (await call("GET", "/a2a/health"))["jobs"].get("completed", 0) < number:
        await asyncio.sleep(0.05)
    return number / (time.perf_counter() - begun)


async def votes(call: Client, number: int) -> float:
    electorate = [f"agent-{n}" for n in range(100)]
    for proposal in range(-(-number // 100)):
        body = {"proposal_id": f"bench-{proposal}", "from": "agent-0", "title": "t", "electorate": electorate}
        await call("POST", "/a2a/proposals", body)

    async def vote(n: int) -> None:
        body = {"from": f"agent-{n % 100}", "choice": "yes"}
        await call("POST", f"/a2a/proposals/bench-{n // 100}/votes", body)

    return await rate(number, vote)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--agents", type=int, default=1000)
    arguments.add_argument("--number", type=int, default=500)
    chosen = arguments.parse_args()
    for kind in KINDS:
        print(f"\n{kind}, {chosen.agents} agents")
        with server(kind) as url:
            uvloop.run(measure(url, agents=chosen.agents, number=chosen.number))


if __name__ == "__main__":
    main()
