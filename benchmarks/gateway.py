"""`python -m benchmarks.gateway`: the gateway's speed as ratios, measured in one run, interleaved, on loopback.

Direct skill calls against nginx proxying to the same upstream; SendMessage (memory, SQLite, PostgreSQL) to a live agent
against the public SDK's server answering in-process; the time that the gateway adds with 100 agents in use; 1,000
streams at once; and three gateways over one PostgreSQL against one.
docs/benchmarks.md says how to read it. Nothing is asserted: numbers of a busy machine fail nobody's build.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

from benchmarks import gateway_access, gateway_streams
from benchmarks import gateway_parts as parts
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target

SKILL = "/agents/bench/a{}/api/a2a/skills/say"
RPC = "/agents/bench/a0/api/a2a"
JSON = (("content-type", "application/json"),)


Speeds = dict[str, tuple[float, float]]  # per second, and per second of processor time


def interleaved(measured: Mapping[str, Callable[[], parts.Load]], *, rounds: int) -> Speeds:
    """The median of each; alternating, so that what else the machine does hits all of them."""
    seen: dict[str, list[parts.Load]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, run in measured.items():
            load = run()
            if load.errors:
                print(f"  {name}: {load.errors} errors")
            seen[name].append(load)
    return {
        name: (
            statistics.median(load.per_second for load in loads),
            statistics.median(load.per_cpu_second for load in loads),
        )
        for name, loads in seen.items()
    }


def report(title: str, speeds: Speeds, *, base: str, aim: float) -> None:
    print(f"\n{title}")
    for name, (speed, cpu) in speeds.items():
        of, of_cpu = speed / speeds[base][0], cpu / speeds[base][1]
        print(f"  {name:18} {speed:8.0f} /s {of:6.2f} of {base}   {cpu:8.0f} per CPU second {of_cpu:6.2f}")
    print(f"  aim: {aim:g}")


@contextmanager
def direct(seconds: int, connections: int) -> Iterator[dict[str, Callable[[], parts.Load]]]:
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        nginx = stack.enter_context(parts.proxy(agent))
        gateway = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", "1"))

        def load(server: parts.Server, path: str) -> Callable[[], parts.Load]:
            return lambda: parts.wrk(server, path, body=parts.DIRECT, connections=connections, seconds=seconds)

        yield {"nginx": load(nginx, "/"), "gateway": load(gateway, SKILL.format(0))}


@contextmanager
def messages(seconds: int, connections: int) -> Iterator[dict[str, Callable[[], parts.Load]]]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        agent = stack.enter_context(parts.upstream())
        sdk = stack.enter_context(parts.python("benchmarks.gateway_sdk"))
        memory = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", "1"))
        database = str(Path(folder) / "tasks.db")
        sqlite = stack.enter_context(parts.python("benchmarks.gateway_server", agent, database, "1"))

        url = stack.enter_context(parts.postgres())
        postgres = stack.enter_context(parts.python("benchmarks.gateway_server", agent, url, "1"))

        def load(server: parts.Server, path: str) -> Callable[[], parts.Load]:
            return lambda: parts.wrk(server, path, body=parts.MESSAGE, connections=connections, seconds=seconds)

        yield {
            "SDK": load(sdk, "/rpc"),
            "gateway, memory": load(memory, RPC),
            "gateway, SQLite": load(sqlite, RPC),
            "gateway, PostgreSQL": load(postgres, RPC),
        }


@contextmanager
def replicas(seconds: int, connections: int) -> Iterator[dict[str, Callable[[], parts.Load]]]:
    """All gateways share one core, as one of them has it alone: so it is what their being several costs."""
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        url = stack.enter_context(parts.postgres())
        servers = [stack.enter_context(parts.python("benchmarks.gateway_server", agent, url, "1")) for _ in range(3)]

        def load(some: list[parts.Server]) -> Callable[[], parts.Load]:
            return lambda: parts.wrk_at_once(some, RPC, body=parts.MESSAGE, connections=connections, seconds=seconds)

        yield {"1 gateway": load(servers[:1]), "3 gateways": load(servers)}


def added(*, agents: int, rate: int, seconds: int) -> None:
    """Open loop at a fixed rate, round robin over all agents: what a call costs beside calling the agent itself."""
    with ExitStack() as stack:
        agent = stack.enter_context(parts.upstream())
        gateway = stack.enter_context(parts.python("benchmarks.gateway_server", agent, "memory", str(agents)))
        paths = {"agent alone": (agent, ["/"]), "gateway": (gateway.url, [SKILL.format(n) for n in range(agents)])}
        times: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(3):
            for name, (url, each) in paths.items():
                times[name] += uvloop.run(paced(url, each, rate=rate, seconds=seconds))
    print(f"\nDirect calls to {agents} agents, {rate}/s, ms")
    for name, values in times.items():
        shown = "  ".join(f"p{at * 100:g} {parts.quantile(values, at) * 1000:7.3f}" for at in (0.5, 0.95, 0.99))
        print(f"  {name:28} {shown}")
    for at in (0.5, 0.99):
        extra = parts.quantile(times["gateway"], at) - parts.quantile(times["agent alone"], at)
        print(f"  added at p{at * 100:g}: {extra * 1000:.3f} ms")


async def paced(url: str, paths: list[str], *, rate: int, seconds: int) -> list[float]:
    client, target = HttpClient(), Target.parse(url)
    times: list[float] = []

    async def one(path: str, due: float) -> None:
        response = await client.request(
            target, path=path, headers=JSON, body=parts.DIRECT.encode(), first_byte=10, total=10
        )
        async with response:
            await response.read(limit=1_000_000)
        # From when it was due: a stall must not hide the calls that it held up.
        times.append(time.perf_counter() - due)

    begin = time.perf_counter() + 0.05
    async with asyncio.TaskGroup() as group:
        for number in range(rate * seconds):
            due = begin + number / rate
            while (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead if ahead > 0.002 else 0)
            group.create_task(one(paths[number % len(paths)], due))
    await client.close()
    return times[rate // 2 :]  # without the first half second, in which connections are made


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gateway")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", choices=("direct", "messages", "access", "added", "streams", "replicas"))
    chosen = parser.parse_args()
    parts.require_tools()
    if chosen.only in (None, "direct"):
        with direct(chosen.seconds, chosen.connections) as runs:
            report("Direct skill call, one core", interleaved(runs, rounds=chosen.rounds), base="nginx", aim=0.4)
    if chosen.only in (None, "messages"):
        with messages(chosen.seconds, chosen.connections) as runs:
            report("SendMessage, one core", interleaved(runs, rounds=chosen.rounds), base="SDK", aim=6)
    if chosen.only in (None, "access"):
        for title, path, body in (("Direct call", SKILL.format(0), parts.DIRECT), ("SendMessage", RPC, parts.MESSAGE)):
            with gateway_access.measured(path, body, seconds=chosen.seconds, connections=chosen.connections) as runs:
                report(f"{title}, access", interleaved(runs, rounds=chosen.rounds), base="off", aim=0.85)
    if chosen.only in (None, "added"):
        added(agents=100, rate=500, seconds=chosen.seconds)
    if chosen.only in (None, "streams"):
        gateway_streams.measure(streams=1000, seconds=10 * chosen.seconds)
    if chosen.only in (None, "replicas"):
        with replicas(chosen.seconds, 33) as runs:
            speeds = interleaved(runs, rounds=chosen.rounds)
        report("SendMessage, PostgreSQL, gateways on one core", speeds, base="1 gateway", aim=1)


if __name__ == "__main__":
    main()
