"""Calls that travel as events: the event, the effect of its delivery, and repeated deliveries."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import CLOCK, Bench, Container, Observed, agent, at_once, completed, never, sending
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.params import Get
from lambdaagent.a2a.states import TaskState
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.containers.call import NotTakenError
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.turn import Turn
from lambdaagent.errors import TemporaryError
from lambdaagent.events import types
from lambdaagent.events.cloudevents import Event
from lambdaagent.tasks.active_task import EventOutcome
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import EngineStore

CART = agent()
LATER = CART.skills["later"]


class Post:
    """A broker that keeps its events, or refuses them while it is `down`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.down = False
        self.refused = 0

    async def __call__(self, callee: Callee, event: Event) -> None:
        if self.down:
            self.refused += 1
            raise BrokerUnavailableError("RabbitMQ is away")
        self.events.append(event)


def carried(store: EngineStore, post: Post, *, replica: str = "") -> Bench:
    container, observed = Container(at_once), Observed()
    engine = Engine(
        store=store,
        caller=container,
        clock=CLOCK,
        observer=observed,
        lookup=lambda namespace, name: CART if name == CART.name else None,
        limits=EngineLimits(look_every=0.05, beat_every=0.1, lease=0.4),
        replica=replica,
        send=post,
    )
    return Bench(container, observed, engine, store)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
async def bench(store: EngineStore, post: Post) -> AsyncIterator[Bench]:
    found = carried(store, post)
    await found.engine.start()
    yield found
    await found.engine.stop(grace=0)


async def sent(bench: Bench) -> str:
    task = await bench.engine.send(CART, sending(skill="later", immediately=True))
    return str(task["id"])


async def the_event(post: Post) -> Event:
    await eventually(lambda: post.events)
    return post.events[-1]


async def test_a_call_is_an_event_to_the_agent_and_its_delivery_ends_the_task(bench: Bench, post: Post) -> None:
    task_id = await sent(bench)
    event = await the_event(post)
    assert (event.type, event.source, event.id) == (types.INVOKE_ASYNC, CART.source, f"{task_id}-1")
    assert event.extensions == {
        "a2ataskid": task_id,
        "a2acontextid": event.extensions["a2acontextid"],
        "a2askillid": "later",
        "a2aagent": "cart",
    }
    assert (await bench.state(task_id), bench.container.turns) == (TaskState.SUBMITTED, [])
    attempted = replace(event, extensions={**event.extensions, "attempt": 2})
    assert await bench.engine.take(attempted, callee=CART, skill=LATER) is EventOutcome.ADVANCED
    assert await bench.state(task_id) is TaskState.COMPLETED
    (turn,) = bench.container.turns
    assert (turn.event_id, turn.attempt, turn.message["parts"]) == (event.id, 2, [{"text": "hi"}])


async def test_who_waits_for_the_answer_gets_it_when_the_event_was_delivered(bench: Bench, post: Post) -> None:
    waiting = asyncio.create_task(bench.engine.send(CART, sending(skill="later")))
    await bench.engine.take(await the_event(post), callee=CART, skill=LATER)
    assert (await waiting)["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_call_that_the_broker_does_not_take_fails_its_task(bench: Bench, post: Post) -> None:
    post.down = True
    task = await bench.engine.send(CART, sending(skill="later"))
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert "RabbitMQ is away" in task["status"]["message"]["parts"][0]["text"]


async def test_an_agent_that_cannot_be_reached_leaves_the_task_to_the_next_attempt(bench: Bench, post: Post) -> None:
    task_id, failures = await sent(bench), 1
    event = await the_event(post)

    async def answer(turn: Turn) -> list[dict[str, object]]:
        nonlocal failures
        if failures:
            failures -= 1
            raise NotTakenError("the agent answered 503", after=3)
        return completed()

    bench.container.answer = answer
    with pytest.raises(NotTakenError):
        await bench.engine.take(event, callee=CART, skill=LATER)
    assert await bench.state(task_id) is TaskState.WORKING
    await bench.engine.take(event, callee=CART, skill=LATER)
    assert await bench.state(task_id) is TaskState.COMPLETED


# A file of SQLite's is one process's, which takes every other holder for dead.
@pytest.mark.parametrize("store", ["memory", "postgres"], indirect=True)
async def test_two_deliveries_on_two_gateways_are_one_call(bench: Bench, post: Post, store: EngineStore) -> None:
    other = carried(store, post, replica="other")
    await other.engine.start()
    task_id, go_on = await sent(bench), asyncio.Event()
    event = await the_event(post)

    async def slowly(turn: Turn) -> list[dict[str, object]]:
        await go_on.wait()
        return completed()

    bench.container.answer = slowly
    first = asyncio.create_task(bench.engine.take(event, callee=CART, skill=LATER))
    await eventually(lambda: bench.container.turns)
    second = asyncio.create_task(other.engine.take(event, callee=CART, skill=LATER))
    await asyncio.sleep(0.2)
    assert not second.done()
    go_on.set()
    assert (await first, await second) == (EventOutcome.ADVANCED, EventOutcome.ENDED)
    assert other.container.turns == []
    assert await bench.state(task_id) is TaskState.COMPLETED
    for each in (bench, other):
        await each.engine.stop(grace=0)


async def test_a_delivery_whose_sender_went_away_is_finished_all_the_same(bench: Bench, post: Post) -> None:
    task_id, go_on = await sent(bench), asyncio.Event()

    async def slowly(turn: Turn) -> list[dict[str, object]]:
        await go_on.wait()
        return completed()

    bench.container.answer = slowly
    event = await the_event(post)
    taking = asyncio.create_task(bench.engine.take(event, callee=CART, skill=LATER))
    await eventually(lambda: bench.container.turns)
    taking.cancel()
    again = asyncio.create_task(bench.engine.take(event, callee=CART, skill=LATER))
    go_on.set()
    assert await again is EventOutcome.ENDED
    assert (len(bench.container.turns), await bench.state(task_id)) == (1, TaskState.COMPLETED)


async def test_an_agent_s_limit_holds_for_calls_that_were_delivered(bench: Bench, post: Post) -> None:
    limited = replace(CART, running=1)
    go_on, events = asyncio.Event(), []

    async def slowly(turn: Turn) -> list[dict[str, object]]:
        await go_on.wait()
        return completed()

    bench.container.answer = slowly
    for _ in range(2):
        await sent(bench)
        await eventually(lambda: len(post.events) > len(events))
        events.append(post.events[-1])
    taking = [asyncio.create_task(bench.engine.take(event, callee=limited, skill=LATER)) for event in events]
    await eventually(lambda: bench.container.turns)
    await asyncio.sleep(0.1)  # time for the second call, which must not begin
    assert len(bench.container.turns) == 1
    go_on.set()
    assert await asyncio.gather(*taking) == [EventOutcome.ADVANCED, EventOutcome.ADVANCED]


async def test_a_canceled_task_is_not_called(bench: Bench, post: Post) -> None:
    task_id = await sent(bench)
    event = await the_event(post)
    await bench.engine.cancel(CART, task_id)
    assert await bench.engine.take(event, callee=CART, skill=LATER) is EventOutcome.ENDED
    assert bench.container.turns == []


async def test_an_event_that_nobody_made_a_task_for_opens_one_that_can_be_watched(bench: Bench) -> None:
    event = Event("e1", "/shop", "parcel.created", b'{"parcel": 7}', "application/json")

    async def answer(turn: Turn) -> list[dict[str, object]]:
        return completed()

    bench.container.answer = answer
    assert await bench.engine.take(event, callee=CART, skill=LATER) is EventOutcome.ADVANCED
    assert await bench.engine.take(event, callee=CART, skill=LATER) is EventOutcome.ENDED
    (turn,) = bench.container.turns
    task = await bench.engine.get(CART, Get(turn.task_id, None))
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["history"][0]["parts"] == [{"data": {"parcel": 7}}]


async def test_an_event_that_only_speaks_of_a_task_is_no_call_of_it(bench: Bench, post: Post) -> None:
    task_id = await sent(bench)
    event = await the_event(post)
    foreign = replace(event, source="/somebody")
    other = Event("9", "/shop", types.INVOKE_ASYNC, extensions={**event.extensions, "a2ataskid": "made-up"})
    assert await bench.engine.take(foreign, callee=CART, skill=LATER) is EventOutcome.FOREIGN
    assert await bench.engine.take(other, callee=CART, skill=LATER) is EventOutcome.UNKNOWN
    assert (bench.container.turns, await bench.state(task_id)) == ([], TaskState.SUBMITTED)


async def test_a_call_of_a_gateway_that_died_is_sent_again_under_the_same_id(store: EngineStore, post: Post) -> None:
    post.down = False
    stuck = asyncio.Event()

    class Dying(Post):
        async def __call__(self, callee: Callee, event: Event) -> None:
            await stuck.wait()

    doomed = carried(store, Dying(), replica="doomed")
    await doomed.engine.start()
    task_id = await sent(doomed)
    await doomed.engine._recovery.stop()
    await doomed.engine._recovery.end_signs()  # as if killed here
    heir = carried(store, post, replica="heir")
    await heir.engine.start()
    event = await asyncio.wait_for(the_event(post), 10)
    assert event.id == f"{task_id}-1"
    assert await heir.engine.take(event, callee=CART, skill=LATER) is EventOutcome.ADVANCED
    assert await heir.state(task_id) is TaskState.COMPLETED
    await heir.engine.stop(grace=0)
    stuck.set()
    await doomed.engine.stop(grace=0)


async def test_a_call_that_is_sent_again_waits_for_the_broker(store: EngineStore, post: Post) -> None:
    """Its client was told that the task is accepted: a broker that is away for a while must not fail it."""
    doomed = carried(store, post, replica="doomed")
    await doomed.engine.start()
    task_id = await sent(doomed)
    await the_event(post)
    doomed.container.answer = never
    taken = asyncio.create_task(doomed.engine.take(post.events[0], callee=CART, skill=LATER))
    await eventually(lambda: bool(doomed.container.turns))
    await doomed.engine._recovery.stop()
    await doomed.engine._recovery.end_signs()  # as if killed here
    post.down, post.events = True, []
    heir = carried(store, post, replica="heir")
    await heir.engine.start()
    await eventually(lambda: post.refused >= 2)
    assert not (await heir.state(task_id)).settled
    post.down = False
    event = await the_event(post)
    assert await heir.engine.take(event, callee=CART, skill=LATER) is EventOutcome.ADVANCED
    assert await heir.state(task_id) is TaskState.COMPLETED
    for each in (heir, doomed):
        await each.engine.stop(grace=0)
    taken.cancel()
    await asyncio.wait([taken])


async def test_a_gateway_stops_in_time_though_its_store_is_away_and_a_call_is_under_way(
    store: EngineStore, post: Post
) -> None:
    flaky = Flaky(store)
    bench = carried(flaky, post)
    bench.container.answer = never
    await bench.engine.start()
    await sent(bench)
    taking = asyncio.create_task(bench.engine.take(await the_event(post), callee=CART, skill=LATER))
    await eventually(lambda: bool(bench.container.turns))
    flaky.fail("append", "create", "beat")
    async with asyncio.timeout(15):
        await bench.engine.stop(grace=0)
    await asyncio.wait([taking])
    assert taking.cancelled() or isinstance(taking.exception(), TemporaryError)
