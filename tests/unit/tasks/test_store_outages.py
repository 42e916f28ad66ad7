"""What becomes of tasks whose store is away, or whose store's answers are lost, while they are written."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import Bench, Json, agent, at_once, bench_of, completed, never, sending
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.containers.turn import Turn
from lambdaagent.store.errors import StoreError
from lambdaagent.store.factory import open_store
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore
from lambdaagent.tasks.requests import Requester

QUICK = EngineLimits(look_every=0.05, beat_every=0.05, lease=0.3, patience=0.2)


@pytest.fixture(params=["memory", "postgres"])
async def shared(request: pytest.FixtureRequest) -> AsyncIterator[Flaky]:
    """One that several replicas may use; SQLite takes every other holder for dead."""
    url = request.getfixturevalue("database_url") if request.param == "postgres" else ""
    store = (await open_store(url)).store
    yield Flaky(store, shared=True)
    await store.close()


@pytest.fixture
def flaky(store: EngineStore) -> Flaky:
    return Flaky(store)


@pytest.fixture
async def bench(flaky: Flaky) -> AsyncIterator[Bench]:
    made = bench_of(flaky, limits=QUICK, known=agent(deduplicateMessages=True))
    await made.engine.start()
    yield made
    flaky.heal()
    await made.engine.stop(grace=0)


async def settled(bench: Bench, task_id: str) -> Json:
    async with asyncio.timeout(10):
        while not (await bench.state(task_id)).settled:
            await asyncio.sleep(0.01)
    record = await bench.store.get(task_id)
    assert record is not None
    return record.task


async def only_task(bench: Bench) -> str:
    """The id of the one task that there is."""
    async with asyncio.timeout(10):
        while not (found := await bench.store.unsettled()):
            await asyncio.sleep(0.01)
    (record,) = found
    return record.id


def texts(task: Json) -> list[str]:
    return ["".join(part["text"] for part in artifact["parts"]) for artifact in task.get("artifacts", [])]


async def test_an_answer_that_the_store_could_not_take_is_written_when_it_is_back(bench: Bench, flaky: Flaky) -> None:
    async def answer(turn: Turn) -> list[Json]:
        flaky.fail("append", "beat")
        return completed("kept")

    bench.container.answer = answer
    sent = asyncio.create_task(bench.engine.send(agent(), sending()))
    await eventually(lambda: flaky.away.get("append", 0) != 0 and bench.container.turns)
    await asyncio.sleep(0.5)
    assert not sent.done()
    flaky.heal()
    task = await asyncio.wait_for(sent, 20)
    assert (task["status"]["state"], texts(task)) == ("TASK_STATE_COMPLETED", ["kept"])
    assert len(bench.container.turns) == 1


async def test_all_pieces_of_a_stream_are_written_in_order_when_the_store_is_back(store: EngineStore) -> None:
    flaky = Flaky(store)

    class Streaming:
        async def stream(self, turn: Turn):  # type: ignore[no-untyped-def]
            for number in range(6):
                if number == 2:
                    flaky.fail("append", "beat")
                yield [artifact_update({"artifactId": "a", "parts": [{"text": str(number)}]}, append=number > 0)]
            yield [status_update(TaskState.COMPLETED, now=1)]

    bench = bench_of(flaky, limits=QUICK, caller=Streaming())
    await bench.engine.start()
    seen: list[Json] = []

    async def read() -> None:
        async for event in bench.engine.stream(agent(), sending()):
            seen.append(event.event)

    reading = asyncio.create_task(read())
    await eventually(lambda: flaky.away)
    await asyncio.sleep(0.3)
    flaky.heal()
    await asyncio.wait_for(reading, 20)
    chunks = [event["artifactUpdate"]["artifact"]["parts"][0]["text"] for event in seen if "artifactUpdate" in event]
    assert chunks == list("012345")
    await bench.engine.stop(grace=0)


@pytest.mark.parametrize("times", [1, 2])
async def test_an_answer_whose_commit_was_not_heard_of_is_written_once(bench: Bench, flaky: Flaky, times: int) -> None:
    flaky.lose("append", times=times)
    task = await bench.engine.send(agent(), sending())
    assert (task["status"]["state"], texts(task)) == ("TASK_STATE_COMPLETED", ["hi"])
    log = await bench.store.changes(task["id"])
    assert [change.version for change in log] == [1]
    await eventually(lambda: bench.observed.states == [TaskState.COMPLETED])


async def test_a_creation_whose_commit_was_not_heard_of_is_a_creation(bench: Bench, flaky: Flaky) -> None:
    flaky.lose("create", times=1)
    task = await bench.engine.send(agent(), sending())
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert flaky.done.count("create") == 1
    assert len(bench.container.turns) == 1


async def test_a_creation_waits_a_little_for_the_store(bench: Bench, flaky: Flaky) -> None:
    flaky.fail("create", times=1)
    task = await bench.engine.send(agent(), sending())
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_what_was_created_unheard_is_run_though_its_client_gave_up(bench: Bench, flaky: Flaky) -> None:
    client = Requester(idempotency_key="k")
    # Done once, and then away for longer than the client's patience: nobody hears that the task is there.
    flaky.lose("create", times=1)
    flaky.away = {}
    original = flaky._run

    async def run(name: str, *args: object, **kwargs: object) -> object:
        if name == "create" and "create" in flaky.done:
            raise StoreError("the store is away")
        return await original(name, *args, **kwargs)

    flaky._run = run  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await bench.engine.send(agent(), sending(), client=client)
    flaky._run = original  # type: ignore[method-assign]
    await eventually(lambda: bench.observed.states == [TaskState.COMPLETED])
    again = await bench.engine.send(agent(), sending(), client=client)
    assert (again["status"]["state"], len(bench.container.turns)) == ("TASK_STATE_COMPLETED", 1)


async def test_a_task_whose_client_went_away_while_it_was_created_is_run(bench: Bench, flaky: Flaky) -> None:
    creating, go = asyncio.Event(), asyncio.Event()
    original = flaky._run

    async def run(name: str, *args: object, **kwargs: object) -> object:
        if name == "create":
            # The store commits what it was given, whether or not its caller still waits.
            write = asyncio.ensure_future(original(name, *args, **kwargs))
            creating.set()
            await go.wait()
            return await write
        return await original(name, *args, **kwargs)

    flaky._run = run  # type: ignore[method-assign]
    sent = asyncio.create_task(bench.engine.send(agent(), sending()))
    await creating.wait()
    sent.cancel()
    await asyncio.wait([sent])
    await eventually(lambda: bench.observed.states == [TaskState.COMPLETED])
    assert len(bench.container.turns) == 1


async def test_a_cancel_whose_commit_was_not_heard_of_is_a_cancel(bench: Bench, flaky: Flaky) -> None:
    bench.container.answer = never
    task = await bench.engine.send(agent(), sending(immediately=True))
    flaky.lose("append", times=1)
    canceled = await bench.engine.cancel(agent(), task["id"])
    assert canceled["status"]["state"] == "TASK_STATE_CANCELED"


async def asked(bench: Bench) -> str:
    async def asks(turn: Turn) -> list[Json]:
        return [status_update(TaskState.INPUT_REQUIRED, now=1)]

    bench.container.answer = asks
    task = await bench.engine.send(agent(), sending(messageId="first"))
    bench.container.answer = at_once
    return str(task["id"])


@pytest.mark.parametrize("keyed", [False, True], ids=["without a key", "with a key"])
async def test_a_follow_up_whose_commit_was_not_heard_of_is_worked_on_once(
    bench: Bench, flaky: Flaky, keyed: bool
) -> None:
    task_id = await asked(bench)
    flaky.lose("append", times=1)
    follow_up = sending("go on", taskId=task_id, messageId="second")
    task = await bench.engine.send(agent(), follow_up, client=Requester(idempotency_key="k" if keyed else None))
    assert (task["status"]["state"], texts(task)) == ("TASK_STATE_COMPLETED", ["go on"])
    assert len(bench.container.turns) == 2


async def test_a_task_that_a_replica_holds_without_running_it_fails_with_the_true_reason(
    bench: Bench, flaky: Flaky
) -> None:
    bench.container.answer = never
    task = await bench.engine.send(agent(), sending(immediately=True))
    active = bench.engine._active_tasks.known(task["id"])
    assert active is not None and active.run is not None
    flaky.fail("append")
    active.run.cancel()  # as after a bug: the run is gone, and nothing was written
    await eventually(lambda: bench.engine._active_tasks.idle(task["id"]))
    flaky.heal()
    task = await settled(bench, task["id"])
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "store was unavailable" in task["status"]["message"]["parts"][0]["text"]


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
    ended = await settled(two, task["id"])
    assert "no response in time" in ended["status"]["message"]["parts"][0]["text"]
    await one.engine.stop(grace=0)
    await two.engine.stop(grace=0)
