"""Tasks that are written while the store is unavailable, or while its responses are lost."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import QUICK, Bench, Json, agent, at_once, bench_of, completed, never, sending, texts
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.containers.turn import Turn
from lambdaagent.store.errors import StoreError
from lambdaagent.tasks.push_delivery import EngineStore
from lambdaagent.tasks.requests import Requester


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


async def only_task(bench: Bench) -> str:
    """Waits for the only task that is not settled and returns its id."""
    (record,) = await eventually(bench.store.unsettled)
    return record.id


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
    task = await bench.settled(task["id"])
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "store was unavailable" in task["status"]["message"]["parts"][0]["text"]
