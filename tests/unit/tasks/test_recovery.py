"""Tasks whose gateway stops or dies, and the retention of ended tasks."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.parts.polling import eventually
from tests.parts.store_records import letter
from tests.unit.tasks.bench import CLOCK, Bench, Json, agent, bench_of, never, sending

from lambdaagent.a2a.params import Get
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.clock import Clock
from lambdaagent.containers.turn import Turn
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import Letters
from lambdaagent.store.sqlite.store import SqliteStore
from lambdaagent.tasks.errors import EngineStoppedError
from lambdaagent.tasks.limits import EngineLimits


async def test_after_a_restart_running_tasks_have_failed_and_waiting_ones_wait(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "t.db")
    bench = bench_of(store)
    await bench.engine.start()

    async def asks(turn: Turn) -> list[Json]:
        return [status_update(TaskState.INPUT_REQUIRED, now=1)]

    bench.container.answer = asks
    asked = await bench.engine.send(agent(), sending())
    bench.container.answer = never
    running = await bench.engine.send(agent(), sending(immediately=True))
    # As after kill -9: nothing of the first engine is told to stop.
    second = bench_of(store)
    await second.engine.start()
    task = await second.engine.get(agent(), Get(running["id"]))
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "restarted" in task["status"]["message"]["parts"][0]["text"]
    done = await second.engine.send(agent(), sending("go on", taskId=asked["id"]))
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    await second.engine.stop(grace=0)
    await bench.engine.stop(grace=0)
    await store.close()


async def test_after_a_restart_what_may_be_repeated_is_begun_anew(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "t.db")
    repeatable = agent(skills=[{"id": "say", "name": "Say", "invoke": {"idempotent": True}}])
    bench = bench_of(store, known=repeatable)
    bench.container.answer = never
    await bench.engine.start()
    running = await bench.engine.send(repeatable, sending("again", immediately=True))
    second = bench_of(store, known=repeatable)
    await second.engine.start()
    await second.reach(running["id"], TaskState.COMPLETED)
    assert [turn.message["parts"][0]["text"] for turn in second.container.turns] == ["again"]
    await second.engine.stop(grace=0)
    await bench.engine.stop(grace=0)
    await store.close()


async def test_stopping_waits_a_little_then_cancels_and_says_so(bench: Bench) -> None:
    bench.container.answer = never
    task = await bench.engine.send(agent(), sending(immediately=True))
    await bench.engine.stop(grace=0.01)
    assert await bench.state(task["id"]) is TaskState.FAILED
    record = await bench.store.get(task["id"])
    assert record is not None
    assert "stopped" in record.task["status"]["message"]["parts"][0]["text"]
    with pytest.raises(EngineStoppedError):
        await bench.engine.send(agent(), sending())


@pytest.mark.parametrize(("retention", "left"), [(10.0, ["new"]), (None, ["new", "old"])])
async def test_dead_letters_are_deleted_by_age(retention: float | None, left: list[str]) -> None:
    store = MemoryStore()
    for name, received in (("old", 989.0), ("new", 991.0)):
        await store.add_dead_letter(letter(received=received, attributes={"id": name, "source": "/s"}))
    limits = EngineLimits(letter_retention=retention, prune_every=0.001)
    bench = bench_of(store, clock=Clock(now=lambda: 1000.0, new_id=CLOCK.new_id), limits=limits)
    with capture_logs() as logs:
        await bench.engine.start()
        for _ in range(10):
            await asyncio.sleep(0.005)
        await bench.engine.stop(grace=0)
    assert [each.attributes["id"] for each in await store.find_letters(Letters())] == left
    pruned = [each["count"] for each in logs if each["event"] == "dead_letters.pruned"]
    assert pruned == ([1] if retention else [])


async def test_retention_is_kept_by_the_engine_itself() -> None:
    now = [1000.0]
    bench = bench_of(
        MemoryStore(),
        clock=Clock(now=lambda: now[0], new_id=CLOCK.new_id),
        limits=EngineLimits(retention=10, prune_every=0.001),
    )
    await bench.engine.start()
    task = await bench.engine.send(agent(), sending())
    now[0] += 11

    async def pruned() -> bool:
        return await bench.store.get(task["id"]) is None

    await eventually(pruned)
    await bench.engine.stop(grace=0)
