"""Follow-ups that arrive twice are one turn, with any key and at any replica."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.unit.tasks.bench import Bench, Json, agent, at_once, bench_of, completed, problem, sending

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Get, Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.containers.turn import Turn
from lambdaagent.store.factory import open_store
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore
from lambdaagent.tasks.requests import Requester

PLAIN, BY_MESSAGE = agent(), agent(deduplicateMessages=True)
LIMITS = EngineLimits(look_every=0.05, beat_every=0.1, lease=0.5)


async def asks(turn: Turn) -> list[Json]:
    return [status_update(TaskState.INPUT_REQUIRED, now=1)]


@pytest.fixture
async def bench(store: EngineStore) -> AsyncIterator[Bench]:
    made = bench_of(store, limits=LIMITS)
    await made.engine.start()
    yield made
    await made.engine.stop(grace=0)


@pytest.fixture
async def pair(database_url: str) -> AsyncIterator[list[Bench]]:
    """Starts two engines over one PostgreSQL."""
    stores = [(await open_store(database_url)).store for _ in range(2)]
    benches = [bench_of(store, limits=LIMITS) for store in stores]
    for each in benches:
        await each.engine.start()
    yield benches
    for each in benches:
        await each.engine.stop(grace=0)
    for store in stores:
        await store.close()


async def asked(bench: Bench) -> str:
    bench.container.answer = asks
    task = await bench.engine.send(PLAIN, sending(messageId="first"))
    bench.container.answer = at_once
    return str(task["id"])


def follow_up(task_id: str, *, message: str = "second", immediately: bool = False) -> Send:
    return sending("go on", taskId=task_id, messageId=message, immediately=immediately)


KEYS = [
    pytest.param(PLAIN, Requester(idempotency_key="k"), id="Idempotency-Key"),
    pytest.param(BY_MESSAGE, Requester(), id="messageId"),
]


@pytest.mark.parametrize(("callee", "client"), KEYS)
async def test_one_that_comes_again_after_the_end_gets_the_task(bench: Bench, callee, client) -> None:  # type: ignore[no-untyped-def]
    task_id = await asked(bench)
    done = await bench.engine.send(callee, follow_up(task_id), client=client)
    again = await bench.engine.send(callee, follow_up(task_id), client=client)
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    assert again == done
    assert len(bench.container.turns) == 2


@pytest.mark.parametrize(("callee", "client"), KEYS)
async def test_one_that_comes_again_while_the_task_works_waits_for_the_same_end(bench: Bench, callee, client) -> None:  # type: ignore[no-untyped-def]
    task_id = await asked(bench)
    go = asyncio.Event()

    async def slow(turn: Turn) -> list[Json]:
        await go.wait()
        return completed("slow")

    bench.container.answer = slow
    await bench.engine.send(callee, follow_up(task_id, immediately=True), client=client)
    again = asyncio.create_task(bench.engine.send(callee, follow_up(task_id), client=client))
    await asyncio.sleep(0.05)
    assert not again.done()
    go.set()
    assert (await asyncio.wait_for(again, 20))["status"]["state"] == "TASK_STATE_COMPLETED"
    assert len(bench.container.turns) == 2


@pytest.mark.parametrize(("callee", "client"), KEYS)
async def test_one_that_comes_again_when_the_task_waits_once_more_is_not_its_next_turn(
    bench: Bench, callee, client
) -> None:  # type: ignore[no-untyped-def]
    task_id = await asked(bench)
    bench.container.answer = asks
    await bench.engine.send(callee, follow_up(task_id), client=client)
    again = await bench.engine.send(callee, follow_up(task_id), client=client)
    assert again["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    assert len(bench.container.turns) == 2
    assert [message["messageId"] for message in again["history"] if message["role"] == "ROLE_USER"] == [
        "first",
        "second",
    ]


@pytest.mark.parametrize(("callee", "client"), KEYS)
async def test_many_at_once_are_one_turn(bench: Bench, callee, client) -> None:  # type: ignore[no-untyped-def]
    task_id = await asked(bench)
    tasks = await asyncio.gather(*(bench.engine.send(callee, follow_up(task_id), client=client) for _ in range(12)))
    assert {task["status"]["state"] for task in tasks} == {"TASK_STATE_COMPLETED"}
    assert len(bench.container.turns) == 2


@pytest.mark.parametrize(("callee", "client"), KEYS)
async def test_on_two_gateways_at_once_it_is_one_turn(pair: list[Bench], callee, client) -> None:  # type: ignore[no-untyped-def]
    task_id = await asked(pair[0])
    sent = [each.engine.send(callee, follow_up(task_id), client=client) for each in pair * 4]
    tasks = await asyncio.wait_for(asyncio.gather(*sent), 10)
    assert {task["status"]["state"] for task in tasks} == {"TASK_STATE_COMPLETED"}
    assert sum(len(each.container.turns) for each in pair) == 2


async def test_another_key_is_another_turn_and_is_refused_while_the_task_works_or_has_ended(bench: Bench) -> None:
    task_id = await asked(bench)
    await bench.engine.send(PLAIN, follow_up(task_id), client=Requester(idempotency_key="one"))
    with pytest.raises(A2AError) as raised:
        await bench.engine.send(PLAIN, follow_up(task_id, message="third"), client=Requester(idempotency_key="two"))
    assert problem(raised) is Problem.UNSUPPORTED_OPERATION


async def test_a_key_is_the_task_s_own(bench: Bench) -> None:
    for _ in range(2):
        task_id = await asked(bench)
        done = await bench.engine.send(PLAIN, follow_up(task_id), client=Requester(idempotency_key="k"))
        assert (done["id"], done["status"]["state"]) == (task_id, "TASK_STATE_COMPLETED")


async def test_a_stream_that_is_asked_for_again_is_the_same_task(bench: Bench) -> None:
    task_id = await asked(bench)
    first = [
        event async for event in bench.engine.stream(PLAIN, follow_up(task_id), client=Requester(idempotency_key="k"))
    ]
    again = [
        event async for event in bench.engine.stream(PLAIN, follow_up(task_id), client=Requester(idempotency_key="k"))
    ]
    assert first[-1].event["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [event.event["task"]["id"] for event in again] == [task_id]
    assert await bench.engine.get(PLAIN, Get(task_id)) == again[0].event["task"]
    assert len(bench.container.turns) == 2


async def test_notes_of_two_replicas_are_all_kept(pair: list[Bench]) -> None:
    """Answers that come one at a time are noted; one of two that come together must not replace the other."""
    task_id = await asked(pair[0])
    names = [f"answer {number}" for number in range(6)]
    await asyncio.gather(
        *(pair[number % 2].engine.note(PLAIN, task_id, {name: {"n": number}}) for number, name in enumerate(names))
    )
    record = await pair[0].store.get(task_id)
    assert record is not None
    assert set(names) <= set(record.task["metadata"])
    assert record.state is TaskState.INPUT_REQUIRED
    await pair[1].engine.send(PLAIN, follow_up(task_id))
    await pair[0].engine.note(PLAIN, task_id, {"late": {}})
    after = await pair[0].store.get(task_id)
    assert after is not None
    assert "late" not in after.task["metadata"], "a task that waits no longer takes no notes"
