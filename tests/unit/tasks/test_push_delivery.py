"""The delivery of push notifications, over a store in memory and a receiver that answers as the test says."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.parts.a2a_schemas import check_v03, check_v1
from tests.parts.polling import eventually
from tests.unit.tasks.bench import CLOCK, Container, Observed, accepted, agent, at_once, problem, sending

from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.versions import Version
from lambdaagent.events.cloudevents import Event
from lambdaagent.store.memory import MemoryStore
from lambdaagent.store.records import Letters
from lambdaagent.tasks.engine import Engine
from lambdaagent.tasks.push_delivery import PushDelivery, PushLimits
from lambdaagent.tasks.requests import Requester
from lambdaagent.webhooks.push_request import PushRefusedError

pytestmark = pytest.mark.asyncio
URL = "https://receiver.example/hook"
QUICK = PushLimits(first_pause=0.01, longest_pause=0.02, attempts=4, look_every=0.01, busy_pause=0.01)


@dataclass
class Receiver:
    """A receiver in place of the network; `refuse` holds the errors of the next posts."""

    refuse: list[PushRefusedError] = field(default_factory=list)
    got: list[tuple[PushConfig, str, Any]] = field(default_factory=list)

    def require(self, url: str) -> None:
        if "forbidden" in url:
            raise PushRefusedError("it is forbidden", final=True)

    async def post(self, config: PushConfig, *, content_type: str, body: bytes) -> None:
        await asyncio.sleep(0)
        if self.refuse:
            raise self.refuse.pop(0)
        self.got.append((config, content_type, json.loads(body)))

    async def close(self) -> None:
        pass


@dataclass
class Pushed(Observed):
    outcomes: list[str] = field(default_factory=list)

    def pushed(self, outcome: str) -> None:
        self.outcomes.append(outcome)


@dataclass
class Bench:
    engine: Engine
    container: Container
    receiver: Receiver
    observed: Pushed
    store: MemoryStore

    async def until(self, count: int) -> list[Any]:
        """Waits for so many notifications and returns the bodies of all."""
        await eventually(lambda: len(self.receiver.got) >= count)
        return [body for _, _, body in self.receiver.got]


@pytest.fixture
async def bench() -> AsyncGenerator[Bench, None]:
    store, receiver, observed, container = MemoryStore(), Receiver(), Pushed(), Container(at_once)
    pusher = PushDelivery(store=store, notifier=receiver, clock=CLOCK, observer=observed, limits=QUICK)
    engine = Engine(
        store=store,
        caller=container,
        clock=CLOCK,
        observer=observed,
        lookup=lambda _, name: agent(name),
        pusher=pusher,
    )
    await engine.start()
    yield Bench(engine, container, receiver, observed, store)
    await engine.stop(grace=0)


def wanting(config: PushConfig, **more: Any) -> Any:
    return replace(sending(**more), push=config)


def states(bodies: list[Any]) -> list[str]:
    return [body["statusUpdate"]["status"]["state"] for body in bodies if "statusUpdate" in body]


async def test_what_happens_is_posted_in_order_with_the_clients_credentials(bench: Bench) -> None:
    config = PushConfig(url=URL, token="t", scheme="Bearer", credentials="c")
    task = await bench.engine.send(agent(), wanting(config))
    bodies = await bench.until(2)
    assert [next(iter(body)) for body in bodies] == ["artifactUpdate", "statusUpdate"]
    assert states(bodies) == ["TASK_STATE_COMPLETED"]
    for given, content_type, body in bench.receiver.got:
        check_v1("StreamResponse", body)
        assert content_type == "application/a2a+json"
        assert (given.token, given.scheme, given.credentials) == ("t", "Bearer", "c")
    (kept,) = await bench.engine.list_push(agent(), task["id"])
    assert kept == replace(config, id=kept.id, task_id=task["id"])
    assert kept.id


async def test_an_old_client_gets_the_old_form(bench: Bench) -> None:
    await bench.engine.send(agent(), replace(wanting(PushConfig(url=URL)), wire=Version.V03))
    artifact, status = await bench.until(2)
    check_v03("TaskArtifactUpdateEvent", artifact)
    check_v03("TaskStatusUpdateEvent", status)
    assert status["final"] is True
    assert {content_type for _, content_type, _ in bench.receiver.got} == {"application/json"}


async def test_a_receiver_that_fails_is_tried_again_and_misses_nothing(bench: Bench) -> None:
    bench.receiver.refuse = [PushRefusedError("it answered 503"), PushRefusedError("it answered 503")]
    await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    assert states(await bench.until(2)) == ["TASK_STATE_COMPLETED"]
    assert bench.observed.outcomes == ["failed", "failed", "delivered", "delivered"]


async def test_one_that_never_takes_it_is_given_up_with_a_dead_letter(bench: Bench) -> None:
    bench.receiver.refuse = [PushRefusedError("it answered 500")] * 4
    task = await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    letters = await eventually(lambda: bench.store.find_letters(Letters("shop")))
    assert letters[0].reason == "push receiver: it answered 500"
    assert letters[0].attributes["a2ataskid"] == task["id"]
    assert bench.observed.outcomes == ["failed", "failed", "failed", "given-up"]
    assert bench.receiver.got == []


async def test_a_receiver_that_is_gone_is_not_tried_again(bench: Bench) -> None:
    bench.receiver.refuse = [PushRefusedError("it answered 410", final=True)]
    await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    await eventually(lambda: bench.observed.outcomes == ["given-up"])


async def test_one_that_comes_later_is_told_what_happens_from_then_on(bench: Bench) -> None:
    bench.container.answer = accepted
    task = await bench.engine.send(agent(), sending(immediately=True))
    await asyncio.sleep(0.02)
    made = await bench.engine.put_push(agent(), PushConfig(url=URL, id="mine", task_id=task["id"]), wire=Version.V1,
                                       client=Requester())  # fmt: skip
    assert made.id == "mine"
    event = Event(id="1", source="/s", type="io.knative.lambda.response.error", extensions={"a2ataskid": task["id"]})
    await bench.engine.advance(event, namespace="shop", agent="cart")
    assert states(await bench.until(1)) == ["TASK_STATE_FAILED"]
    assert await bench.engine.get_push(agent(), task["id"], "mine") == made
    await bench.engine.drop_push(agent(), task["id"], "mine")
    await bench.engine.drop_push(agent(), task["id"], "mine")
    with pytest.raises(A2AError) as raised:
        await bench.engine.get_push(agent(), task["id"], "mine")
    assert problem(raised) is Problem.TASK_NOT_FOUND


async def test_a_forbidden_receiver_is_refused_before_anything_is_made(bench: Bench) -> None:
    with pytest.raises(A2AError, match="it is forbidden") as raised:
        await bench.engine.send(agent(), wanting(PushConfig(url="https://forbidden")))
    assert problem(raised) is Problem.INVALID_PARAMS
    assert bench.container.turns == []


async def test_a_receiver_that_does_not_answer_holds_up_no_other_one(bench: Bench, monkeypatch: Any) -> None:
    post, asked = bench.receiver.post, asyncio.Event()

    async def slow(config: PushConfig, *, content_type: str, body: bytes) -> None:
        if "slow" in config.url:
            asked.set()
            await asyncio.Event().wait()
        await post(config, content_type=content_type, body=body)

    monkeypatch.setattr(bench.receiver, "post", slow)
    await bench.engine.send(agent(), wanting(PushConfig(url="https://slow.example/")))
    await asyncio.wait_for(asked.wait(), 20)
    await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    assert states(await bench.until(2)) == ["TASK_STATE_COMPLETED"]


async def test_many_receivers_on_one_host_that_do_not_answer_hold_up_no_other_one(
    bench: Bench, monkeypatch: Any
) -> None:
    post, asked, over = bench.receiver.post, list[str](), asyncio.Event()

    async def slow(config: PushConfig, *, content_type: str, body: bytes) -> None:
        if "slow" in config.url:
            asked.append(config.url)
            await over.wait()
        await post(config, content_type=content_type, body=body)

    monkeypatch.setattr(bench.receiver, "post", slow)
    for number in range(QUICK.at_once + 5):
        await bench.engine.send(agent(), wanting(PushConfig(url=f"https://slow.example/{number}")))
    await eventually(lambda: len(asked) >= QUICK.per_host)
    await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    await bench.until(2)
    assert len(asked) == QUICK.per_host
    over.set()
    # Those that had to wait are told in their turn, each of the start and of the end.
    await bench.until(2 * (QUICK.at_once + 6))


async def test_a_receiver_at_which_the_gateway_fails_is_given_up_and_the_others_are_told(
    bench: Bench, monkeypatch: Any
) -> None:
    post = bench.receiver.post

    async def failing(config: PushConfig, *, content_type: str, body: bytes) -> None:
        if "bad" in config.url:
            raise TypeError("unforeseen")
        await post(config, content_type=content_type, body=body)

    monkeypatch.setattr(bench.receiver, "post", failing)
    task = await bench.engine.send(agent(), wanting(PushConfig(url="https://bad.example/")))

    async def given_up() -> bool:
        return (await bench.store.pushes(task["id"]))[0].dead

    await eventually(given_up)
    await bench.engine.send(agent(), wanting(PushConfig(url=URL)))
    assert states(await bench.until(2)) == ["TASK_STATE_COMPLETED"]


async def test_a_task_has_so_many_receivers_at_most(bench: Bench) -> None:
    bench.container.answer = accepted
    task = await bench.engine.send(agent(), sending(immediately=True))
    for n in range(100):
        config = PushConfig(url=URL, id=str(n), task_id=task["id"])
        await bench.engine.put_push(agent(), config, wire=Version.V1)
    again = PushConfig(url=f"{URL}/new", id="7", task_id=task["id"])
    assert (await bench.engine.put_push(agent(), again, wire=Version.V1)).url == f"{URL}/new"
    with pytest.raises(A2AError) as refused:
        await bench.engine.put_push(agent(), PushConfig(url=URL, task_id=task["id"]), wire=Version.V1)
    assert problem(refused) is Problem.INVALID_PARAMS
