"""`python -m benchmarks.chunks [--checkouts . OTHER]`: what a stream of many chunks into one task costs in a store.

The engine runs the task and the container is a generator, so there is no HTTP. Every measurement is a process of its
own: its peak of memory is then its own too. Several checkouts are measured in turn, and the ratio of the first one's
medians to each other one's is printed. `answer` and `short` are the tasks that most agents make: they must not pay for
the long ones. SQLite and PostgreSQL sync every commit.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from tests.parts.postgres import Postgres
from tests.unit.tasks.bench import bench_of, sending

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.containers.call import Turn
from lambdaagent.store.factory import migrate, open_store

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
KINDS = ("memory", "sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class Load:
    chunks: int
    size: int  # bytes of each
    tasks: int = 1
    at_once: int = 1


LOADS = {
    "large": Load(chunks=500, size=60 * 1024),
    "many": Load(chunks=20_000, size=100),
    "answer": Load(chunks=1, size=80, tasks=4_000, at_once=32),
    "short": Load(chunks=20, size=80, tasks=400, at_once=32),
}


@dataclass
class Streaming:
    load: Load

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        last = self.load.chunks - 1
        for number in range(self.load.chunks):
            await asyncio.sleep(0)
            text = b64encode(os.urandom(self.load.size * 3 // 4)).decode()  # nothing to compress, nothing shared
            artifact = {"artifactId": "a", "parts": [{"text": text}]}
            updates = [artifact_update(artifact, append=number > 0, last=number == last)]
            if number == last:
                updates.append(status_update(TaskState.COMPLETED, now=time.time()))
            yield updates


async def measure(kind: str, load: Load, *, folder: Path, url: str) -> Json:
    database = {"memory": "", "sqlite": str(folder / "tasks.db"), "postgres": url}[kind]
    await migrate(database)
    store = (await open_store(database)).store
    bench = bench_of(store, caller=Streaming(load))
    await bench.engine.start()
    if kind == "postgres":
        await store.beat(bench.engine._replica, seconds=600)
    hold, done = 0.0, False

    async def tick() -> None:
        nonlocal hold
        while not done:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            hold = max(hold, time.perf_counter() - before - 0.001)

    left = iter(range(load.tasks))
    callee = bench.engine._lookup("shop", "cart")
    assert callee is not None

    async def work() -> None:
        for _ in left:
            task = await bench.engine.send(callee, sending())
            assert len(task["artifacts"][0]["parts"]) == load.chunks

    resident, written = _resident(), _written()
    ticking = asyncio.create_task(tick())
    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(load.at_once)))
    seconds, used = time.perf_counter() - began, time.process_time() - used
    done = True
    await ticking
    found = {
        "seconds": seconds, "processor": used, "written": _written() - written, "hold": hold,
        "peak": _resident() - resident,
    }  # fmt: skip
    await bench.engine.stop(grace=0)
    await store.close()
    return found


def _resident() -> int:
    """The most that this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _written() -> int:
    return int(Path("/proc/self/io").read_text().partition("wchar: ")[2].split()[0])


def child(kind: str, name: str, *, server: Postgres, checkout: Path) -> Json:
    url = server.url(server.database())
    before = server.execute("SELECT pg_current_wal_lsn()")
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(checkout / "operator"), str(ROOT)))}
    command = [sys.executable, "-m", "benchmarks.chunks", "--child", kind, name, url]
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=1800)
    found: Json = json.loads(done.stdout.strip().splitlines()[-1])
    if kind == "postgres":
        found["written"] = int(server.execute(f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before}')::bigint"))
    if kind == "memory":
        found["written"] = 0
    return found


def show(name: str, found: Json) -> None:
    mib = 1024 * 1024
    print(
        f"    {name:14} {found['seconds']:8.2f} s  processor {found['processor']:7.2f} s  written "
        f"{found['written'] / mib:9.1f} MiB  peak +{found['peak'] / mib:6.1f} MiB  hold {found['hold'] * 1000:7.1f} ms",
        flush=True,
    )


def medians(rounds: list[Json]) -> Json:
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.chunks")
    parser.add_argument("--checkouts", type=Path, nargs="*", default=[ROOT], help="of this repository")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=LOADS, nargs="*", default=list(LOADS))
    parser.add_argument("--stores", choices=KINDS, nargs="*", default=KINDS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        kind, name, url = chosen.child
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(uvloop.run(measure(kind, LOADS[name], folder=Path(folder), url=url))))
        return
    checkouts = [each.resolve() for each in chosen.checkouts]
    server = Postgres(durable=True)
    try:
        server.start()
        for name in chosen.only:
            load = LOADS[name]
            print(f"{name}: {load.tasks} tasks of {load.chunks} chunks of {load.size} bytes, {load.at_once} at once")
            for kind in chosen.stores:
                print(f"  {kind}")
                rounds: dict[Path, list[Json]] = {each: [] for each in checkouts}
                for _ in range(chosen.rounds):
                    for each in checkouts:
                        rounds[each].append(child(kind, name, server=server, checkout=each))
                found = {each: medians(measured) for each, measured in rounds.items()}
                for each, measured in found.items():
                    show(each.name, measured)
                first, *others = found.values()
                for other in others:
                    ratios = (first[what] / other[what] for what in ("seconds", "processor"))
                    print("    first/other: {:.3f} by the clock, {:.3f} of processor time".format(*ratios), flush=True)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
