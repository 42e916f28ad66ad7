"""`python -m benchmarks.stores`: what the stores do per second, and what a page of a long list costs in PostgreSQL.

A task is two writes: it is created, and it ends. PostgreSQL is a server of the benchmark's own on the same cores, with
fsync on, as is SQLite's file. Nothing is asserted.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop
from tests.parts.postgres import Postgres

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.postgres import migrating
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.postgres.urls import DatabaseUrl
from lambdaagent.store.records import TaskQuery, TaskRecord
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.store import SqliteStore

Store = MemoryStore | SqliteStore | PostgresStore
KINDS = ("memory", "SQLite", "PostgreSQL")
MESSAGE = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "what is the weather like in Lisbon today?"}]}
ANSWER = {"artifactId": "a", "parts": [{"data": {"answer": "x" * 64}}]}
FILL = """
INSERT INTO lambdaagent_tasks
SELECT 'task-' || n, 'context-' || n / 10, 'bench', 'a' || n % 2, NULL, 'anonymous', 1,
  CASE WHEN n % 1000 = 0 THEN 'TASK_STATE_FAILED' ELSE 'TASK_STATE_COMPLETED' END, 2, n, n,
  convert_to('{"id": "' || n || '", "text": "' || repeat('x', 300) || '"}', 'UTF8'), '', 0, '', NULL
FROM generate_series($1::int, $2::int) n"""


@asynccontextmanager
async def opened(kind: str, server: Postgres, sealing: Sealing | None = None) -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        store: Store
        if kind == "memory":
            store = MemoryStore()
        elif kind == "SQLite":
            store = await SqliteStore.open(Path(folder) / "tasks.db", durable=True, sealing=sealing)
        else:
            url = server.url(server.database())
            await migrating.migrate(DatabaseUrl(url))
            store = await PostgresStore.open(url, sealing=sealing)
        yield store
        await store.close()


async def rate(
    store: Store, *, side_by_side: int, seconds: float, run: str, message: dict[str, Any] = MESSAGE
) -> tuple[float, float]:
    """Tasks per second, and the median time of one in milliseconds."""
    begin = time.perf_counter()
    times: list[float] = []

    async def work(name: int) -> None:
        n = 0
        while (now := time.perf_counter()) < begin + seconds:
            n += 1
            task = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}, "history": [message]}
            made = TaskRecord(
                f"{run}-{name}-{n}", f"c-{run}-{name}-{n}", "bench", "a0", "say", "anonymous", 0, TaskState.WORKING,
                time.time(), time.time(), task, "replica", time.time() + 300,
            )  # fmt: skip
            await store.create(made)
            over = replace(made, version=1, state=TaskState.COMPLETED, updated=time.time(), holder="")
            over.task["artifacts"] = [ANSWER]
            await store.append(over, updates=[{"artifactUpdate": {"artifact": ANSWER}}])
            times.append(time.perf_counter() - now)

    await asyncio.gather(*(work(name) for name in range(side_by_side)))
    return len(times) / (time.perf_counter() - begin), statistics.median(times) * 1000


async def rates(server: Postgres, *, seconds: float, rounds: int) -> None:
    print("Tasks, each created and ended")
    for side_by_side in (1, 32, 256):
        for kind in KINDS:
            found = []
            for number in range(rounds):
                async with opened(kind, server) as store:
                    found.append(await rate(store, side_by_side=side_by_side, seconds=seconds, run=str(number)))
            speed, median = statistics.median(each[0] for each in found), statistics.median(each[1] for each in found)
            print(f"  {side_by_side:4} at once  {kind:10} {speed:8.0f} /s   {median:7.2f} ms each")


async def encryption(server: Postgres, *, seconds: float, rounds: int) -> None:
    """Payloads encrypted against plain ones, in turns, so that both have the same neighbours on the machine.

    The processor time is that of this process, which other work disturbs less than the rate.
    """
    print("Tasks, each created and ended, 32 at once, plain and encrypted, and the ratio: rate, processor time")
    # PostgreSQL compresses large values, so they must be no simpler than what people write.
    prose = "".join(page.read_text() for page in sorted(Path("docs").rglob("*.md")))
    for size in (100, 4096, 64 * 1024):
        message = MESSAGE | {"parts": [{"text": prose[:size]}]}
        for kind in KINDS[1:]:
            found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
            for number in range(2 * rounds):
                encrypted = number % 2 == 1
                sealing = Sealing({"k1": b"1" * 32}, payloads=True) if encrypted else None
                async with opened(kind, server, sealing) as store:
                    begin, used = time.perf_counter(), time.process_time()
                    speed, _ = await rate(store, side_by_side=32, seconds=seconds, run=str(number), message=message)
                    used = (time.process_time() - used) / speed / (time.perf_counter() - begin)
                    found[encrypted].append((speed, used * 1e6))
            plain, sealed = (list(map(statistics.median, zip(*found[each], strict=True))) for each in (False, True))
            print(
                f"  {size:6} bytes  {kind:10} {plain[0]:6.0f} {sealed[0]:6.0f} /s {sealed[0] / plain[0]:5.2f}   "
                f"{plain[1]:6.0f} {sealed[1]:6.0f} us {sealed[1] / plain[1]:5.2f}"
            )


async def deliveries(server: Postgres, *, seconds: float) -> None:
    """Each one recorded for the first time, as a dispatcher does before it acknowledges."""
    print("Deliveries, each recorded once")
    for side_by_side in (1, 32, 256):
        for kind in KINDS:
            async with opened(kind, server) as store:
                begin = time.perf_counter()

                async def work(name: int, store: Store = store, begin: float = begin) -> int:
                    n = 0
                    while (now := time.perf_counter()) < begin + seconds:
                        n += 1
                        await store.record_delivery(namespace="bench", agent="a", key=(f"/s/{name}", str(n)), now=now)
                    return n

                done = sum(await asyncio.gather(*(work(name) for name in range(side_by_side))))
                print(f"  {side_by_side:4} at once  {kind:10} {done / (time.perf_counter() - begin):8.0f} /s")


async def pages(server: Postgres, sizes: list[int]) -> None:
    url = server.url(server.database())
    await migrating.migrate(DatabaseUrl(url))
    store = await PostgresStore.open(url)
    filled = 0
    print("ListTasks in PostgreSQL, pages of 50, median ms")
    for size in sizes:
        connection = await store._pool.connect()
        await connection.execute("SET statement_timeout = 0")
        for begin in range(filled + 1, size + 1, 50_000):
            await connection.execute(FILL, begin, min(begin + 49_999, size), timeout=600)
        await connection.execute("VACUUM ANALYZE lambdaagent_tasks", timeout=600)
        await connection.close()
        filled = size
        middle = (float(size // 2), "")
        asked = {
            "first page": TaskQuery("bench", "a0", "anonymous"),
            "in the middle": TaskQuery("bench", "a0", "anonymous", after=middle),
            "last page": TaskQuery("bench", "a0", "anonymous", after=(100.0, "")),
            "rare state": TaskQuery("bench", "a0", "anonymous", state=TaskState.FAILED),
            "no such state": TaskQuery("bench", "a0", "anonymous", state=TaskState.REJECTED),
            "one context": TaskQuery("bench", "a0", "anonymous", context_id="context-7"),
        }
        print(f"  {size:9} tasks")
        for name, listing in asked.items():
            times = []
            for _ in range(30):
                begin_page = time.perf_counter()
                page = await store.find(listing)
                times.append(time.perf_counter() - begin_page)
            print(f"    {name:14} {statistics.median(times) * 1000:7.2f}   ({len(page.records)} of {page.total})")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.stores")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("rates", "encryption", "deliveries", "pages"))
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    chosen = parser.parse_args()
    server = Postgres(durable=True)
    try:
        server.start()
        if chosen.only in (None, "rates"):
            uvloop.run(rates(server, seconds=chosen.seconds, rounds=chosen.rounds))
        if chosen.only in (None, "encryption"):
            uvloop.run(encryption(server, seconds=chosen.seconds, rounds=chosen.rounds))
        if chosen.only in (None, "deliveries"):
            uvloop.run(deliveries(server, seconds=chosen.seconds))
        if chosen.only in (None, "pages"):
            uvloop.run(pages(server, chosen.sizes))
    finally:
        server.remove()


if __name__ == "__main__":
    main()
