"""Streams of very many chunks: each is stored once even if responses of the store are lost, and is copied rarely."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.parts.store_chunks import chunk
from tests.unit.tasks.bench import Json, agent, bench_of, completed, sending
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.tasks import fold_all
from lambdaagent.containers.call import Turn
from lambdaagent.store import chunked_record
from lambdaagent.store.memory import MemoryStore
from lambdaagent.tasks.push_delivery import EngineStore

CHUNKS = 60


class Streaming:
    """A container that streams chunks and calls `before` with the number of each."""

    def __init__(self, *, chunks: int, size: int = 0, before: Any = lambda _: None) -> None:
        self._chunks = chunks
        self._size = size
        self._before = before

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        for n in range(self._chunks):
            self._before(n)
            yield [chunk(n, size=self._size)]
        yield completed()


async def test_a_chunk_whose_write_was_done_without_an_answer_is_there_once(store: EngineStore) -> None:
    flaky = Flaky(store)

    def before(n: int) -> None:
        if n % 9 == 8:
            flaky.lose("append", times=1)
        if n % 20 == 19:
            flaky.fail("append", times=1)

    bench = bench_of(flaky, caller=Streaming(chunks=CHUNKS, size=4096, before=before))
    await bench.engine.start()
    task = await bench.engine.send(agent(), sending())
    await bench.engine.stop(grace=0)
    assert [part["text"].split()[0] for part in task["artifacts"][0]["parts"]] == [str(n) for n in range(CHUNKS)]
    record = await store.get(task["id"])
    assert record is not None and record.task == task
    log = await store.changes(task["id"])
    assert len(log) == CHUNKS + 1


async def test_chunks_are_folded_seldom_while_nobody_reads_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fold copies all that is there: one for each chunk would cost the square."""
    folded: list[int] = []

    def counted(task: Json, updates: list[Json]) -> Json:
        folded.append(len(updates))
        return fold_all(task, updates)

    monkeypatch.setattr(chunked_record, "fold_all", counted)
    bench = bench_of(MemoryStore(), caller=Streaming(chunks=1_000))
    await bench.engine.start()
    task = await bench.engine.send(agent(), sending())
    assert len(task["artifacts"][0]["parts"]) == 1_000
    assert len(folded) < 10
    await bench.engine.stop(grace=0)
