"""Messages and turns, over each kind of store."""

import asyncio
from typing import Any

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import CLOCK, Bench, Json, agent, bench_of, completed, never, problem, sending

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Get, Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.containers import responses
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.store.errors import StoreError
from lambdaagent.store.memory import MemoryStore
from lambdaagent.tasks.errors import EngineBusyError, EngineStoppedError
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore
from lambdaagent.tasks.requests import Requester


async def test_a_message_returns_the_finished_task_and_get_returns_it_again(bench: Bench) -> None:
    task = await bench.engine.send(agent(), sending("hi", contextId="mine"), client=Requester(Origin(traceparent="tp")))
    assert (task["status"]["state"], task["contextId"]) == ("TASK_STATE_COMPLETED", "mine")
    assert task["artifacts"][0]["parts"] == [{"text": "hi"}]
    assert await bench.engine.get(agent(), Get(task["id"])) == task
    turn = bench.container.turns[0]
    assert (turn.task_id, turn.context_id, turn.origin.traceparent) == (task["id"], "mine", "tp")
    assert bench.observed.states == [TaskState.COMPLETED]
    assert await bench.store.changes(task["id"])


async def test_the_task_is_stored_before_the_container_is_called(bench: Bench) -> None:
    seen: list[TaskState] = []

    async def look(turn: Turn) -> list[Json]:
        seen.append(await bench.state(turn.task_id))
        return completed()

    bench.container.answer = look
    await bench.engine.send(agent(), sending())
    assert seen == [TaskState.WORKING]


async def test_nobody_is_told_what_the_store_did_not_take() -> None:
    class Failing(MemoryStore):
        away = True

        async def append(self, *args: Any, **kwargs: Any) -> bool:
            if self.away:
                raise StoreError("disk full")
            return await super().append(*args, **kwargs)

    store = Failing()
    bench = bench_of(store)
    await bench.engine.start()
    task = await bench.engine.send(agent(), sending(immediately=True))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await bench.engine.get(agent(), Get(task["id"])))["status"]["state"] == "TASK_STATE_WORKING"
    assert bench.observed.states == []
    store.away = False
    await eventually(lambda: bench.observed.states == [TaskState.COMPLETED])
    await bench.engine.stop(grace=0)


async def test_history_is_as_long_as_asked_for(bench: Bench) -> None:
    task = await bench.engine.send(agent(), sending())
    assert len(task["history"]) == 1
    assert "history" not in await bench.engine.get(agent(), Get(task["id"], history_length=0))


async def test_returning_at_once_leaves_the_task_running_until_it_ends(bench: Bench) -> None:
    gate = asyncio.Event()

    async def gated(turn: Turn) -> list[Json]:
        await gate.wait()
        return completed()

    bench.container.answer = gated
    task = await bench.engine.send(agent(), sending(immediately=True))
    assert task["status"]["state"] == "TASK_STATE_WORKING"
    gate.set()
    await bench.reach(task["id"], TaskState.COMPLETED)


async def test_a_client_that_goes_away_does_not_cancel_its_task(bench: Bench) -> None:
    gate, asked = asyncio.Event(), asyncio.Event()

    async def gated(turn: Turn) -> list[Json]:
        asked.set()
        await gate.wait()
        return completed()

    bench.container.answer = gated
    waiting = asyncio.create_task(bench.engine.send(agent(), sending()))
    await asked.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await bench.reach(bench.container.turns[0].task_id, TaskState.COMPLETED)


@pytest.mark.parametrize(
    ("callee_", "request_", "expected", "says"),
    [
        pytest.param(
            agent(), sending(skill="fly"), Problem.INVALID_PARAMS, "known are: say, slow, later", id="an unknown skill"
        ),
        pytest.param(agent(skills=[]), sending(skill="fly"), Problem.INVALID_PARAMS, "known are: none", id="no skills"),
        pytest.param(
            agent(),
            sending(taskId="made-up"),
            Problem.TASK_NOT_FOUND,
            "made-up",
            id="a task of the client's own making",
        ),
        pytest.param(
            agent(enforceModes=True),
            sending(parts=[{"data": 1}]),
            Problem.CONTENT_TYPE,
            "accepts text",
            id="a part outside the modes",
        ),
    ],
)
async def test_what_cannot_be_sent_is_refused_and_nothing_is_made(
    bench: Bench, callee_: Callee, request_: Send, expected: Problem, says: str
) -> None:
    with pytest.raises(A2AError, match=says) as raised:
        await bench.engine.send(callee_, request_)
    assert problem(raised) is expected
    assert bench.container.turns == []


async def test_the_only_skill_is_meant_when_none_is_named_and_of_several_none_is(bench: Bench) -> None:
    await bench.engine.send(agent(skills=[{"id": "one", "name": "One"}]), sending(skill=None))
    await bench.engine.send(agent(), sending(skill=None))
    assert [turn.skill and turn.skill.id for turn in bench.container.turns] == ["one", None]


async def test_enforced_modes_let_through_what_the_skill_takes(bench: Bench) -> None:
    assert await bench.engine.send(agent(enforceModes=True), sending("hi"))


async def test_a_container_may_ask_and_the_next_message_goes_on_with_the_task(bench: Bench) -> None:
    async def asks_first(turn: Turn) -> list[Json]:
        if len(bench.container.turns) == 1:
            return [
                status_update(
                    TaskState.INPUT_REQUIRED,
                    now=1,
                    message={"messageId": "q", "role": "ROLE_AGENT", "parts": [{"text": "which?"}]},
                )
            ]
        return completed(turn.message["parts"][0]["text"])

    bench.container.answer = asks_first
    asked = await bench.engine.send(agent(), sending("buy", skill="slow"))
    assert asked["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    done = await bench.engine.send(agent(), sending("apples", skill=None, taskId=asked["id"]))
    assert (done["id"], done["contextId"]) == (asked["id"], asked["contextId"])
    assert [message["parts"][0]["text"] for message in done["history"]] == ["buy", "which?", "apples"]
    assert done["artifacts"][0]["parts"] == [{"text": "apples"}]
    assert [turn.skill and turn.skill.id for turn in bench.container.turns] == ["slow", "slow"]


async def test_a_message_in_another_context_or_to_an_ended_or_busy_task_is_refused(bench: Bench) -> None:
    ended = await bench.engine.send(agent(), sending())
    with pytest.raises(A2AError, match="has ended") as raised:
        await bench.engine.send(agent(), sending(taskId=ended["id"]))
    assert problem(raised) is Problem.UNSUPPORTED_OPERATION
    with pytest.raises(A2AError, match="another context"):
        await bench.engine.send(agent(), sending(taskId=ended["id"], contextId="other"))
    bench.container.answer = never
    busy = await bench.engine.send(agent(), sending(immediately=True))
    with pytest.raises(A2AError, match="is working"):
        await bench.engine.send(agent(), sending(taskId=busy["id"]))


async def test_tasks_of_others_are_not_found(bench: Bench) -> None:
    task = await bench.engine.send(agent(), sending(), client=Requester(Origin(owner="ann")))
    assert await bench.engine.get(agent(), Get(task["id"]), client=Requester(Origin(owner="ann")))
    for callee_, owner in ((agent(), "bob"), (agent("till"), "ann")):
        with pytest.raises(A2AError) as raised:
            await bench.engine.get(callee_, Get(task["id"]), client=Requester(Origin(owner=owner)))
        assert problem(raised) is Problem.TASK_NOT_FOUND


async def test_calls_at_once_are_bounded_and_the_rest_wait_as_submitted() -> None:
    bench = bench_of(MemoryStore(), limits=EngineLimits(running=1, held=2))
    await bench.engine.start()
    gate = asyncio.Event()

    async def gated(turn: Turn) -> list[Json]:
        await gate.wait()
        return completed()

    bench.container.answer = gated
    first = await bench.engine.send(agent(), sending(immediately=True))
    await asyncio.sleep(0)
    second = await bench.engine.send(agent(), sending(immediately=True))
    assert [task["status"]["state"] for task in (first, second)] == ["TASK_STATE_WORKING", "TASK_STATE_SUBMITTED"]
    with pytest.raises(EngineBusyError):
        await bench.engine.send(agent(), sending())
    gate.set()
    await bench.reach(second["id"], TaskState.COMPLETED)
    assert [
        change.updates[0]["statusUpdate"]["status"]["state"] for change in (await bench.store.changes(second["id"]))[:1]
    ] == ["TASK_STATE_WORKING"]
    await bench.engine.stop(grace=0)


def test_a_failure_update_says_its_words() -> None:
    update = responses.failed("why", clock=CLOCK)
    assert update["statusUpdate"]["status"]["message"]["parts"] == [{"text": "why"}]


async def test_a_store_that_is_away_at_the_start_is_waited_for_and_nothing_is_taken_before() -> None:
    class Away(MemoryStore):
        async def beat(self, holder: str, *, seconds: float) -> None:
            if away:
                raise StoreError("away")
            await super().beat(holder, seconds=seconds)

    away = True
    made = bench_of(Away(), limits=EngineLimits(beat_every=0.01))
    await made.engine.start()
    with pytest.raises(EngineStoppedError, match="cannot reach its store yet"):
        await made.engine.send(agent(), sending())
    away = False
    async with asyncio.timeout(20):
        while True:
            try:
                task = await made.engine.send(agent(), sending())
                break
            except EngineStoppedError:
                await asyncio.sleep(0.01)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    await made.engine.stop(grace=0)


async def test_a_task_is_as_large_as_it_may_be_and_ends_with_the_reason(store: EngineStore) -> None:
    bench = bench_of(store, limits=EngineLimits(largest=50_000))

    async def many(turn: Turn) -> list[Json]:
        return completed("x" * 20_000)  # its name is as long

    bench.container.answer = many
    await bench.engine.start()
    task = await bench.engine.send(agent(), sending("y" * 1000))
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    task = await bench.engine.send(agent(), sending("y" * 10_000))
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "larger than 50000 bytes" in task["status"]["message"]["parts"][0]["text"]
    await bench.engine.stop(grace=0)
