"""Events that advance a task, and what ends a task whose container does not."""

import asyncio

from tests.parts.polling import eventually
from tests.unit.tasks.bench import Bench, Json, accepted, agent, completed, sending

from lambdaagent.a2a.states import TaskState
from lambdaagent.containers.turn import Turn
from lambdaagent.events.cloudevents import Event
from lambdaagent.tasks.active_task import EventOutcome


async def test_an_accepted_task_goes_on_until_an_event_ends_it(bench: Bench) -> None:
    bench.container.answer = accepted
    waiting = asyncio.create_task(bench.engine.send(agent(), sending()))
    await eventually(lambda: bench.container.turns)
    task_id = bench.container.turns[0].task_id
    assert (
        await bench.engine.advance(bench.event(task_id, "p", type="progress"), namespace="shop", agent="cart")
        is EventOutcome.ADVANCED
    )
    assert (
        await bench.engine.advance(bench.event(task_id, "p", type="progress"), namespace="shop", agent="cart")
        is EventOutcome.DUPLICATE
    )
    assert not waiting.done()
    assert (
        await bench.engine.advance(bench.event(task_id, "e"), namespace="shop", agent="cart") is EventOutcome.ADVANCED
    )
    task = await waiting
    assert (task["status"]["state"], len(task["artifacts"])) == ("TASK_STATE_COMPLETED", 2)
    assert await bench.engine.advance(bench.event(task_id, "x"), namespace="shop", agent="cart") is EventOutcome.ENDED
    assert bench.observed.events == [
        EventOutcome.ADVANCED,
        EventOutcome.DUPLICATE,
        EventOutcome.ADVANCED,
        EventOutcome.ENDED,
    ]


async def test_only_the_tasks_agent_and_those_it_forwards_to_may_advance_it(bench: Bench) -> None:
    bench.container.answer = accepted
    task = await bench.engine.send(agent(), sending(immediately=True, skill="slow"))
    event = bench.event(task["id"], type="my.reply")
    assert await bench.engine.advance(event, namespace="shop", agent="thief") is EventOutcome.FOREIGN
    assert await bench.engine.advance(event, namespace="bank", agent="cart") is EventOutcome.FOREIGN
    assert not (await bench.state(task["id"])).terminal
    assert await bench.engine.advance(event, namespace="shop", agent="till") is EventOutcome.ADVANCED
    assert await bench.state(task["id"]) is TaskState.COMPLETED


async def test_events_of_no_task_and_of_unknown_tasks_change_nothing(bench: Bench) -> None:
    assert await bench.engine.advance(bench.event("nobody"), namespace="shop", agent="cart") is EventOutcome.UNKNOWN
    assert await bench.engine.advance(Event(id="1", source="/s", type="t"), namespace="shop", agent="cart") is None
    assert bench.observed.events == [EventOutcome.UNKNOWN]


async def test_an_event_beats_the_answer_that_comes_after_it(bench: Bench) -> None:
    async def slow(turn: Turn) -> list[Json]:
        await bench.engine.advance(bench.event(turn.task_id), namespace="shop", agent="cart")
        return completed("too late")

    bench.container.answer = slow
    task = await bench.engine.send(agent(), sending())
    assert [artifact["parts"][0]["text"] for artifact in task["artifacts"]] == ["late"]


async def test_a_task_that_nobody_finishes_fails_at_its_skills_deadline(bench: Bench) -> None:
    bench.container.answer = accepted
    task = await bench.engine.send(agent(), sending(skill="slow"))
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "did not finish the task in 1 s" in task["status"]["message"]["parts"][0]["text"]


async def test_a_crash_of_the_call_fails_its_task_without_a_word_of_the_inside(bench: Bench) -> None:
    async def crash(turn: Turn) -> list[Json]:
        raise RuntimeError("secret detail")

    bench.container.answer = crash
    task = await bench.engine.send(agent(), sending())
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "secret" not in str(task)
    assert bench.observed.crashes == 1
