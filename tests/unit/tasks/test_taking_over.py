"""Tasks of a replica that is gone, and tasks that end on another replica without a notification."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import pytest
from tests.parts.polling import eventually
from tests.unit.tasks.bench import Bench, Json, agent, bench_of, sending, texts
from tests.unit.tasks.flaky import Flaky

from lambdaagent.a2a.params import Get
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import artifact_update, status_update
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.turn import Turn
from lambdaagent.errors import TemporaryError
from lambdaagent.store.factory import open_store
from lambdaagent.store.records import TaskChange, TaskRecord
from lambdaagent.tasks.artifact_replacement import Replacing, unfinished
from lambdaagent.tasks.limits import EngineLimits

AGAIN = agent(skills=[{"id": "say", "name": "Say", "invoke": {"idempotent": True}}])
LIMITS = EngineLimits(look_every=0.05, beat_every=0.1, lease=0.4)


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[list[Flaky]]:
    """Yields one store as two replicas see it; neither gets the notifications of the other's changes."""
    if request.param == "memory":
        inner = [(await open_store("")).store] * 2
    else:
        inner = [(await open_store(request.getfixturevalue("database_url"))).store for _ in range(2)]
    yield [Flaky(each, shared=True, deaf=True) for each in inner]
    for each in set(inner):
        await each.close()


class Chunks:
    """A container that streams pieces of artifacts; its first call never ends."""

    def __init__(self, *answers: list[Json]) -> None:
        self.answers = list(answers)
        self.calls = 0
        self.closed = 0

    async def stream(self, turn: Turn) -> AsyncGenerator[list[Json], None]:
        self.calls += 1
        try:
            for update in self.answers.pop(0):
                yield [update]
            if self.answers or not self.calls > 1:
                await asyncio.Event().wait()
        finally:
            self.closed += 1


def chunk(name: str, text: str, *, append: bool = False, last: bool = False) -> Json:
    return artifact_update({"artifactId": name, "parts": [{"text": text}]}, append=append, last=last)


DONE = status_update(TaskState.COMPLETED, now=1)


async def ended(bench: Bench, task_id: str) -> Json:
    """Waits until the engine answers that the task is settled; it learns of a write a moment after the store has it."""

    async def check() -> Json | None:
        found = await bench.engine.get(AGAIN, Get(task_id))
        return found if TaskState(found["status"]["state"]).settled else None

    task: Json = await eventually(check)
    return task


def die(bench: Bench) -> None:
    """Stops a replica as kill -9 does: it sends no heartbeat and writes nothing."""
    for task in bench.engine._recovery._tasks:
        task.cancel()
    assert isinstance(bench.store, Flaky)
    bench.store.fail("append", "create", "beat")


@pytest.mark.parametrize(
    ("cut", "full", "expected"),
    [
        pytest.param(
            [chunk("x", "one "), chunk("x", "two ", append=True)],
            [chunk("y", "one "), chunk("y", "two ", append=True), chunk("y", "three", append=True, last=True), DONE],
            ["one two three"],
            id="another id each time",
        ),
        pytest.param(
            [chunk("x", "one ")],
            [chunk("x", "one ", append=True), chunk("x", "two", append=True), DONE],
            ["one two"],
            id="the same id, appended to",
        ),
        pytest.param(
            [chunk("a", "A", last=True), chunk("b", "B1 ")],
            [chunk("c", "A", last=True), chunk("d", "B1 "), chunk("d", "B2", append=True), chunk("e", "E"), DONE],
            ["A", "B1 B2", "E"],
            id="several, and more than before",
        ),
        pytest.param([chunk("a", "A"), chunk("b", "B")], [chunk("z", "all"), DONE], ["all"], id="fewer than before"),
        pytest.param([], [chunk("a", "A"), DONE], ["A"], id="none before"),
    ],
)
async def test_an_idempotent_stream_that_is_begun_anew_replaces_what_was_there(
    stores: list[Flaky], cut: list[Json], full: list[Json], expected: list[str]
) -> None:
    container = Chunks(cut, full)
    one, two = (bench_of(each, limits=LIMITS, known=AGAIN, caller=container) for each in stores)
    await one.engine.start()
    await two.engine.start()
    task = await one.engine.send(AGAIN, sending(immediately=True))
    seen: dict[str, str] = {}

    async def follow() -> None:
        async for event in two.engine.subscribe(AGAIN, task["id"]):
            if "artifactUpdate" in event.event:
                update = event.event["artifactUpdate"]
                name, text = update["artifact"]["artifactId"], update["artifact"]["parts"][0]["text"]
                seen[name] = seen[name] + text if update["append"] else text
            for artifact in event.event.get("task", {}).get("artifacts", []):
                seen[artifact["artifactId"]] = "".join(part["text"] for part in artifact["parts"])

    async def stored() -> bool:
        return len(await two.store.changes(task["id"])) >= len(cut)

    await eventually(stored)
    await eventually(lambda: container.calls == 1)
    following = asyncio.create_task(follow())
    die(one)
    done = await ended(two, task["id"])
    await asyncio.wait_for(following, 20)
    assert (texts(done), done["status"]["state"]) == (expected, "TASK_STATE_COMPLETED")
    # Whoever followed has each artifact of the task as the task has it.
    assert {each["artifactId"]: text for each, text in zip(done["artifacts"], texts(done), strict=True)}.items() <= (
        seen.items()
    )
    await two.engine.stop(grace=0)
    await one.engine.stop(grace=0)


async def test_of_a_second_turn_only_its_own_artifacts_are_replaced() -> None:
    log = [
        TaskChange(1, (chunk("first", "1"),)),
        TaskChange(2, ({"message": {}}, DONE)),
        TaskChange(3, (chunk("second", "2"), chunk("third", "3"))),
        TaskChange(4, (chunk("second", "2", append=True),)),
    ]
    assert unfinished(log) == ["second", "third"]
    assert Replacing([]).renamed([chunk("x", "1", append=True)]) == [chunk("x", "1", append=True)]


async def test_a_cancel_that_nobody_heard_of_reaches_the_container(stores: list[Flaky]) -> None:
    container = Chunks([chunk("a", "1")], [])
    one, two = (bench_of(each, limits=LIMITS, known=AGAIN, caller=container) for each in stores)
    await one.engine.start()
    await two.engine.start()
    task = await one.engine.send(AGAIN, sending(immediately=True))
    await eventually(lambda: container.calls == 1)
    await two.engine.cancel(AGAIN, task["id"])
    await eventually(lambda: container.closed == 1)
    for each in (one, two):
        await each.engine.stop(grace=0)


async def test_when_it_listens_again_everything_is_compared_at_once(stores: list[Flaky]) -> None:
    container = Chunks([chunk("a", "1")], [])
    never_beats = EngineLimits(look_every=60, beat_every=60, lease=120)
    one, two = (bench_of(each, limits=never_beats, known=AGAIN, caller=container) for each in stores)
    await one.engine.start()
    await two.engine.start()
    task = await one.engine.send(AGAIN, sending(immediately=True))
    await eventually(lambda: container.calls == 1)
    await two.engine.cancel(AGAIN, task["id"])
    stores[0].missed()
    await eventually(lambda: container.closed == 1)
    for each in (one, two):
        await each.engine.stop(grace=0)


async def test_a_blocking_send_whose_task_ended_elsewhere_unheard_of_returns(stores: list[Flaky]) -> None:
    container = Chunks([chunk("a", "1")], [])
    one, two = (bench_of(each, limits=LIMITS, known=AGAIN, caller=container) for each in stores)
    await one.engine.start()
    await two.engine.start()
    sent = asyncio.create_task(one.engine.send(AGAIN, sending()))
    await eventually(lambda: container.calls == 1)
    (record,) = await two.store.unsettled()
    await two.engine.cancel(AGAIN, record.id)
    assert (await asyncio.wait_for(sent, 20))["status"]["state"] == "TASK_STATE_CANCELED"
    for each in (one, two):
        await each.engine.stop(grace=0)


async def test_nothing_is_decided_about_an_agent_before_agents_are_listed(stores: list[Flaky]) -> None:
    container = Chunks([chunk("a", "1")], [chunk("b", "whole"), DONE])
    one, two = (bench_of(each, limits=LIMITS, known=AGAIN, caller=container) for each in stores)
    listed = False

    def lookup(namespace: str, name: str) -> Callee | None:
        if not listed:
            raise TemporaryError("the agents are not listed yet")
        return AGAIN

    two.engine._recovery._lookup = lookup
    await one.engine.start()
    await two.engine.start()
    task = await one.engine.send(AGAIN, sending(immediately=True))
    await eventually(lambda: container.calls == 1)
    die(one)
    await asyncio.sleep(1)  # longer than a lease and its beats
    assert await two.state(task["id"]) is TaskState.WORKING
    listed = True
    done = await ended(two, task["id"])
    assert texts(done) == ["whole"]
    for each in (two, one):
        await each.engine.stop(grace=0)


async def test_a_task_that_is_followed_while_it_is_taken_over_is_run_once(stores: list[Flaky]) -> None:
    container = Chunks([chunk("a", "1")], [chunk("b", "whole")], [chunk("c", "again"), DONE])
    one, two = (bench_of(each, limits=LIMITS, known=AGAIN, caller=container) for each in stores)
    await one.engine.start()
    await two.engine.start()
    task = await one.engine.send(AGAIN, sending(immediately=True))
    await eventually(lambda: container.calls == 1)
    reached, go_on, append = asyncio.Event(), asyncio.Event(), stores[1].append

    async def slow(record: TaskRecord, *, updates: Sequence[Json], key: tuple[str, str] | None = None) -> bool:
        reached.set()
        await go_on.wait()
        return await append(record, updates=updates, key=key)

    stores[1].append = slow  # type: ignore[method-assign]
    die(one)
    await asyncio.wait_for(reached.wait(), 20)
    reader = two.engine.subscribe(AGAIN, task["id"])
    await anext(reader)
    go_on.set()
    await eventually(lambda: container.calls == 2)
    await reader.aclose()
    assert not two.engine._active_tasks.idle(task["id"])
    await two.engine._recovery.compare()
    assert container.calls == 2
    for each in (two, one):
        await each.engine.stop(grace=0)
