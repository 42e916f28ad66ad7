"""Adds chunks to tasks and prints what is confirmed: `python -m tests.integration.store.streamer DATABASE`."""

import asyncio
import sys

from tests.parts.store_chunks import stream, streaming

from lambdaagent.store.factory import open_store

SIDE_BY_SIDE = 5
SIZE = 2_000


async def main(database: str) -> None:
    store = (await open_store(database)).store
    await store.beat("one", seconds=600)

    async def write(task_id: str) -> None:
        before = streaming(task_id)
        await store.create(before)
        while True:
            before = await stream(store, before, chunks=1, size=SIZE)
            print(task_id, before.version, flush=True)

    await asyncio.gather(*(write(f"t{n}") for n in range(SIDE_BY_SIDE)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
