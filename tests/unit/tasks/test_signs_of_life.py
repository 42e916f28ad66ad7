"""Which replicas count as expired after an outage of the store, or while a replica is busy."""

import asyncio

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import QUICK, Json, agent, bench_of, completed, never, sending, texts
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.states import TaskState
from lambdaagent.containers.turn import Turn
from lambdaagent.tasks.limits import EngineLimits


async def test_after_an_outage_nobody_takes_the_living_for_dead(shared: Flaky) -> None:
    """Nobody could say that he lives; whoever comes first must not judge the others by that."""
    flaky = shared
    quick, slower = (EngineLimits(look_every=0.05, beat_every=every, lease=1.0) for every in (0.05, 0.3))
    first, second = (bench_of(flaky, limits=quick) for _ in range(2))
    # After the outage it is the last to say that it lives.
    slow = bench_of(flaky, limits=slower)
    for each in (first, second, slow):
        await each.engine.start()
    slow.container.answer = never
    task = await slow.engine.send(agent(), sending(immediately=True))
    await asyncio.sleep(1.2 * quick.lease)  # each may judge by now
    flaky.fail("beat", "append")
    await asyncio.sleep(1.5 * quick.lease)
    flaky.heal()
    await asyncio.sleep(1.5 * quick.lease)
    assert await slow.state(task["id"]) is TaskState.WORKING
    for each in (first, second, slow):
        await each.engine.stop(grace=0)


async def test_a_replica_whose_recovery_is_held_up_goes_on_saying_that_it_lives(
    shared: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = Flaky(shared, shared=True)
    busy, other = bench_of(view, limits=QUICK), bench_of(shared, limits=QUICK)
    await busy.engine.start()
    await other.engine.start()
    busy.container.answer = never
    task = await busy.engine.send(agent(), sending(immediately=True))

    async def held(holder: str) -> set[str]:
        await asyncio.Event().wait()
        return set()

    monkeypatch.setattr(view, "held", held, raising=False)
    await asyncio.sleep(4 * QUICK.lease)
    assert await other.state(task["id"]) is TaskState.WORKING
    await busy.engine.stop(grace=0)
    await other.engine.stop(grace=0)


async def test_a_replica_that_waits_for_its_last_calls_still_says_that_it_lives(shared: Flaky) -> None:
    ending, other = bench_of(shared, limits=QUICK), bench_of(shared, limits=QUICK)
    await ending.engine.start()
    await other.engine.start()
    gate = asyncio.Event()

    async def held(turn: Turn) -> list[Json]:
        await gate.wait()
        return completed("late")

    ending.container.answer = held
    task = await ending.engine.send(agent(), sending(immediately=True))
    await eventually(lambda: bool(ending.container.turns))
    stopping = asyncio.create_task(ending.engine.stop(grace=20))
    await asyncio.sleep(4 * QUICK.lease)
    gate.set()
    await stopping
    record = await other.store.get(task["id"])
    assert record is not None
    assert (record.state, texts(record.task)) == (TaskState.COMPLETED, ["late"])
    await other.engine.stop(grace=0)


async def test_an_outage_that_one_replica_hardly_noticed_makes_no_other_one_dead(shared: Flaky) -> None:
    """Its own sign of life was late, and less so than a lease; those of the other one were lost meanwhile."""
    limits = EngineLimits(look_every=0.05, beat_every=0.05, lease=1.0)
    cut, late = Flaky(shared, shared=True), Flaky(shared, shared=True)
    holder, other = bench_of(cut, limits=limits), bench_of(late, limits=limits)
    await holder.engine.start()
    await other.engine.start()
    holder.container.answer = never
    task = await holder.engine.send(agent(), sending(immediately=True))
    await asyncio.sleep(1.2 * limits.lease)  # the other one may judge by now
    cut.fail("beat")
    late.hold("beat")
    await asyncio.sleep(0.8 * limits.lease)
    late.heal()
    await asyncio.sleep(0.4 * limits.lease)
    cut.heal()
    await asyncio.sleep(limits.lease)
    assert await other.state(task["id"]) is TaskState.WORKING
    await holder.engine.stop(grace=0)
    await other.engine.stop(grace=0)


async def test_a_held_task_past_its_deadline_fails_though_its_holder_lives(shared: Flaky) -> None:
    one, two = bench_of(shared, limits=QUICK), bench_of(shared, limits=QUICK)
    await two.engine.start()
    await one.engine.start()
    one.container.answer = never
    task = await one.engine.send(agent(), sending(immediately=True, skill="slow"))
    # Its holder goes on beating and does nothing else.
    active = one.engine._active_tasks.known(task["id"])
    assert active is not None
    one.engine._active_tasks.hold(active)
    active.starting += 1
    assert active.run is not None
    active.run.cancel()
    ended = await two.settled(task["id"])
    assert "no response in time" in ended["status"]["message"]["parts"][0]["text"]
    await one.engine.stop(grace=0)
    await two.engine.stop(grace=0)
