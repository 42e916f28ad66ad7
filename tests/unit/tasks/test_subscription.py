"""Subscriptions to a task: at the reader's pace, in one order for all, and resumed where a reader stopped."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v1
from tests.parts.polling import eventually
from tests.unit.tasks.bench import Bench, accepted, agent, bench_of, completed, problem, sending

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Find, Get
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.store.memory import MemoryStore
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.requests import Requester, StreamEvent
from lambdaagent.tasks.subscription import Position

Json = dict[str, Any]
pytestmark = pytest.mark.asyncio


class Talking:
    """A container that sends its response in pieces, which the test puts into a queue."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[list[Json] | None] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        try:
            while (piece := await self.pieces.get()) is not None:
                yield piece
        finally:
            self.closed.set()


def chunk(text: str, *, append: bool = True, last: bool = False) -> Json:
    return artifact_update({"artifactId": "a", "parts": [{"text": text}]}, append=append, last=last)


@pytest.fixture
async def talking() -> AsyncGenerator[tuple[Bench, Talking], None]:
    container = Talking()
    bench = bench_of(MemoryStore(), limits=EngineLimits(look_every=0.05), caller=container)
    await bench.engine.start()
    yield bench, container
    await bench.engine.stop(grace=0)


async def collect(events: AsyncGenerator[StreamEvent, None], into: list[StreamEvent]) -> None:
    async for event in events:
        into.append(event)


def kinds(events: list[StreamEvent]) -> list[str]:
    return [next(iter(event.event)) for event in events]


async def test_a_stream_is_the_task_and_then_what_happens_to_it(talking: tuple[Bench, Talking]) -> None:
    bench, container = talking
    got: list[StreamEvent] = []
    stream = bench.engine.stream(agent(), sending())
    reading = asyncio.create_task(collect(stream, got))
    container.pieces.put_nowait([chunk("one ", append=False)])
    container.pieces.put_nowait([chunk("two")])
    container.pieces.put_nowait([status_update(TaskState.COMPLETED, now=1)])
    await asyncio.wait_for(reading, 20)
    assert kinds(got) == ["task", "artifactUpdate", "artifactUpdate", "statusUpdate"]
    task_id = got[0].event["task"]["id"]
    assert {event.event[kind]["taskId"] for event, kind in zip(got[1:], kinds(got)[1:], strict=True)} == {task_id}
    for event in got:
        check_v1("StreamResponse", event.event)
    task = await bench.engine.get(agent(), Get(task_id))
    assert task["artifacts"][0]["parts"] == [{"text": "one "}, {"text": "two"}]
    assert len({event.id for event in got}) == len(got)


async def test_an_agent_that_does_not_stream_is_streamed_all_the_same(bench_: Bench) -> None:
    got: list[StreamEvent] = []
    await collect(bench_.engine.stream(agent(), sending()), got)
    assert kinds(got) == ["task", "artifactUpdate", "statusUpdate"]
    assert got[-1].event["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


@pytest.fixture
async def bench_() -> AsyncGenerator[Bench, None]:
    bench = bench_of(MemoryStore(), limits=EngineLimits(look_every=0.05, waiting=1))
    await bench.engine.start()
    yield bench
    await bench.engine.stop(grace=0)


async def test_all_followers_see_the_same_and_one_that_leaves_disturbs_nobody(talking: tuple[Bench, Talking]) -> None:
    bench, container = talking
    task = await bench.engine.send(agent(), sending(immediately=True))
    first, second, gone = list[StreamEvent](), list[StreamEvent](), bench.engine.subscribe(agent(), task["id"])
    assert kinds([await anext(gone)]) == ["task"]
    await gone.aclose()
    readers = [
        asyncio.create_task(collect(bench.engine.subscribe(agent(), task["id"]), into)) for into in (first, second)
    ]
    await eventually(lambda: first and second)
    for piece in ([chunk("x", append=False), chunk("y")], [status_update(TaskState.INPUT_REQUIRED, now=1)]):
        container.pieces.put_nowait(piece)
    await eventually(lambda: len(first) >= 4 and len(second) >= 4)
    assert not any(reader.done() for reader in readers), "a subscription goes on while the task waits for its client"
    container.pieces.put_nowait(None)
    await bench.engine.send(agent(), sending(taskId=task["id"], immediately=True))
    container.pieces.put_nowait(completed())
    await asyncio.wait_for(asyncio.gather(*readers), 20)
    assert first == second
    states = [event.event["statusUpdate"]["status"]["state"] for event in first if "statusUpdate" in event.event]
    assert states == ["TASK_STATE_INPUT_REQUIRED", "TASK_STATE_WORKING", "TASK_STATE_COMPLETED"]


async def test_who_comes_back_with_an_id_gets_exactly_the_rest(talking: tuple[Bench, Talking]) -> None:
    bench, container = talking
    got: list[StreamEvent] = []
    reading = asyncio.create_task(collect(bench.engine.stream(agent(), sending()), got))
    container.pieces.put_nowait([chunk("one", append=False), chunk("two"), chunk("three")])
    container.pieces.put_nowait(completed())
    await asyncio.wait_for(reading, 20)
    task_id = got[0].event["task"]["id"]
    for place, event in enumerate(got[:-1]):
        rest: list[StreamEvent] = []
        await collect(bench.engine.subscribe(agent(), task_id, last_event_id=event.id), rest)
        assert rest == got[place + 1 :], f"after {event.id}"


async def test_a_reader_that_stands_still_holds_nothing_up(talking: tuple[Bench, Talking]) -> None:
    bench, container = talking
    stream = bench.engine.stream(agent(), sending())
    first = await anext(stream)
    container.pieces.put_nowait([chunk("0", append=False)])
    for number in range(1, 200):
        container.pieces.put_nowait([chunk(str(number))])
    container.pieces.put_nowait(completed())
    await asyncio.wait_for(container.closed.wait(), 20)
    task = await bench.engine.get(agent(), Get(first.event["task"]["id"]))
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    rest: list[StreamEvent] = []
    await collect(stream, rest)
    texts = [e.event["artifactUpdate"]["artifact"]["parts"][0]["text"] for e in rest if "artifactUpdate" in e.event]
    assert texts[:200] == [str(number) for number in range(200)]


async def test_an_ended_task_cannot_be_subscribed_to(bench_: Bench) -> None:
    task = await bench_.engine.send(agent(), sending())
    for last in (None, "nonsense", "-1", "1.x"):
        with pytest.raises(A2AError) as raised:
            await anext(bench_.engine.subscribe(agent(), task["id"], last_event_id=last))
        assert problem(raised) is Problem.UNSUPPORTED_OPERATION


async def test_cancelling_ends_the_task_and_the_call(talking: tuple[Bench, Talking]) -> None:
    bench, container = talking
    task = await bench.engine.send(agent(), sending(immediately=True))
    following = asyncio.create_task(collect(bench.engine.subscribe(agent(), task["id"]), []))
    await asyncio.sleep(0)
    canceled = await bench.engine.cancel(agent(), task["id"])
    assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
    await asyncio.wait_for(container.closed.wait(), 20)
    await asyncio.wait_for(following, 20)
    with pytest.raises(A2AError) as raised:
        await bench.engine.cancel(agent(), task["id"])
    assert problem(raised) is Problem.TASK_NOT_CANCELABLE
    with pytest.raises(A2AError) as raised:
        await bench.engine.cancel(agent(), "none")
    assert problem(raised) is Problem.TASK_NOT_FOUND


async def test_cancelling_a_task_that_awaits_an_event_ends_it(bench_: Bench) -> None:
    bench_.container.answer = accepted
    task = await bench_.engine.send(agent(), sending(immediately=True))
    await bench_.engine.cancel(agent(), task["id"])
    assert await bench_.state(task["id"]) is TaskState.CANCELED


async def test_pages_follow_each_other_and_hold_only_ones_own(bench_: Bench) -> None:
    ids = [
        (await bench_.engine.send(agent(), sending(), client=Requester(Origin(owner="ann"))))["id"] for _ in range(5)
    ]
    await bench_.engine.send(agent(), sending(), client=Requester(Origin(owner="bob")))
    found, token = list[str](), ""
    for _ in range(3):
        page = await bench_.engine.find(
            agent(), Find(page_size=2, page_token=token), client=Requester(Origin(owner="ann"))
        )
        assert page.total == 5
        assert all("artifacts" not in task for task in page.tasks)
        found += [task["id"] for task in page.tasks]
        token = page.next_token
    assert (sorted(found), token) == (sorted(ids), "")
    whole = await bench_.engine.find(agent(), Find(include_artifacts=True), client=Requester(Origin(owner="bob")))
    assert whole.tasks[0]["artifacts"]
    with pytest.raises(A2AError):
        await bench_.engine.find(agent(), Find(page_token="made up"))


async def test_a_request_that_is_said_twice_is_done_once(bench_: Bench) -> None:
    client = Requester(Origin(owner="ann"), idempotency_key="k1")
    first = await bench_.engine.send(agent(), sending("one"), client=client)
    again = await bench_.engine.send(agent(), sending("two"), client=client)
    assert again == first
    assert len(bench_.container.turns) == 1
    other = await bench_.engine.send(
        agent(), sending("three"), client=Requester(Origin(owner="bob"), idempotency_key="k1")
    )
    assert other["id"] != first["id"]
    deduplicating = agent(deduplicateMessages=True)
    one, two = [await bench_.engine.send(deduplicating, sending()) for _ in range(2)]
    assert one["id"] == two["id"]


async def test_an_agents_own_limit_makes_the_rest_wait_and_too_many_are_refused(bench_: Bench) -> None:
    from lambdaagent.tasks.errors import EngineBusyError

    release = asyncio.Event()

    async def held(turn: Turn) -> list[Json]:
        await release.wait()
        return completed()

    bench_.container.answer = held
    one = agent(maxConcurrentTasks=1)
    first = await bench_.engine.send(one, sending(immediately=True))
    await asyncio.sleep(0)
    second = await bench_.engine.send(one, sending(immediately=True))
    assert second["status"]["state"] == "TASK_STATE_SUBMITTED"
    await asyncio.sleep(0)
    with pytest.raises(EngineBusyError, match="works on 1 tasks and 1 wait"):
        await bench_.engine.send(one, sending(immediately=True))
    other = await bench_.engine.send(agent("other"), sending(immediately=True))
    assert other["status"]["state"] == "TASK_STATE_WORKING"
    release.set()
    for task in (first, second, other):
        await bench_.reach(task["id"], TaskState.COMPLETED)


@pytest.mark.parametrize("event_id", ["9" * 5000, "1." + "9" * 5000, "9" * 10, "1." + "9" * 10, "1.x", "²", "1.²"])
async def test_an_event_id_that_no_stream_gave_begins_anew(event_id: str) -> None:
    assert Position.parse(event_id) is None
