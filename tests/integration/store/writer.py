"""Creates tasks, ends them and prints what is confirmed: `python -m tests.integration.store.writer URL`."""

import asyncio
import sys
from dataclasses import replace

from lambdaagent.a2a.states import TaskState
from lambdaagent.store.errors import StoreError
from lambdaagent.store.postgres.store import PostgresStore
from lambdaagent.store.records import TaskRecord

SIDE_BY_SIDE = 20


async def write(store: PostgresStore, task_id: str) -> None:
    record = TaskRecord(task_id, "c", "shop", "cart", None, "a", 0, TaskState.WORKING, 1.0, 1.0, {"id": task_id})
    await store.create(record)
    print("created", task_id, flush=True)
    await store.append(replace(record, version=1, state=TaskState.COMPLETED), updates=[{"n": task_id}])
    print("ended", task_id, flush=True)


async def writer(store: PostgresStore, name: int) -> None:
    n = 0
    while True:
        n += 1
        try:
            await write(store, f"t{name}-{n}")
        except StoreError as error:
            print("failed", str(error).replace("\n", " "), flush=True)
            await asyncio.sleep(0.05)


async def main(url: str) -> None:
    store = await PostgresStore.open(url)
    await asyncio.gather(*(writer(store, name) for name in range(SIDE_BY_SIDE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
