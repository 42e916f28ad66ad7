"""One delivery to a real HTTP server: how often it is tried, what becomes of it, what is kept of the cause."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from lambdaagent import clock as clocks
from lambdaagent.api.a2a import Invoke, Skill
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.protocol import BrokerDelivery, Settlement
from lambdaagent.children.async_calls import Calls
from lambdaagent.dispatcher.circuit import Circuit
from lambdaagent.dispatcher.deduplication import Deduplicator
from lambdaagent.dispatcher.delivery import AgentRoute, Deliverer
from lambdaagent.events import types
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.retry import Policy
from lambdaagent.httpclient.client import HttpClient
from lambdaagent.httpclient.wire import Target
from lambdaagent.store.memory import MemoryStore

EVENT = Event(id="1", source="/s", type="t", data=b"data")


class Agent:
    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.calls = 0
        self.attempts: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        assert request.headers["ce-id"] == "1"
        self.attempts.append(request.headers["ce-attempt"])
        return self.answers.pop(0) if self.answers else web.Response(status=202)


@pytest.fixture
async def agent() -> AsyncIterator[tuple[Agent, str]]:
    found = Agent()
    app = web.Application()
    app.router.add_post("/", found.handle)
    async with TestServer(app) as server:
        yield found, str(server.make_url("/"))


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient()
    yield made
    await made.close()


Make = Callable[..., tuple[Deliverer, list[Event], Counter[str]]]


class Observed(Counter[str]):
    def delivery(self, outcome: str) -> None:
        self[outcome] += 1


@pytest.fixture
def make(agent: tuple[Agent, str], client: HttpClient) -> Make:
    store = MemoryStore()

    def build(**options: Any) -> tuple[Deliverer, list[Event], Counter[str]]:
        replies: list[Event] = []
        observed = Observed()

        async def reply(events: Sequence[Event]) -> None:
            replies.extend(events)

        async def sleep(_: float) -> None:
            return

        parts = {
            "policy": Policy(retry=2, delay=1.0),
            "reply": reply,
            "sleep": sleep,
            "route": lambda _: AgentRoute(Target.parse(agent[1])),
            "calls": Calls("a", {}),
            "jitter": lambda: 1.0,
            "circuit": Circuit(sleep=sleep),
        } | options
        clock = clocks.system()
        seen = Deduplicator(store, "n", "a", clock)
        return (
            Deliverer(agent="n/a", client=client, clock=clock, seen=seen, observer=observed, **parts),
            replies,
            observed,
        )

    return build


def delivery(attempt: int = 1, **options: Any) -> BrokerDelivery:
    return BrokerDelivery(EVENT, "queue", attempt, **options)


async def test_success_is_acknowledged_after_it_was_recorded(agent: tuple[Agent, str], make: Make) -> None:
    deliverer, _, _ = make()
    outcome = await deliverer.handle(delivery())
    assert (outcome.verdict, agent[0].calls) == (Settlement.ACK, 1)
    store = deliverer.seen.store
    assert await store.deliveries("n", "a", since=0, limit=9) == []
    assert outcome.settle is not None
    await outcome.settle()
    assert await store.deliveries("n", "a", since=0, limit=9) == [("/s", "1")]


@pytest.mark.parametrize("attempt", [1, 3])
async def test_a_call_that_the_gateway_could_not_make_is_no_attempt_of_the_agent(
    agent: tuple[Agent, str], make: Make, attempt: int
) -> None:
    agent[0].answers = [web.Response(status=503, headers={"LambdaAgent-Attempted": "no"})]
    deliverer, _, observed = make(route=lambda _: AgentRoute(Target.parse(agent[1]), gateway=True))
    assert (await deliverer.handle(delivery(attempt))).verdict is Settlement.REQUEUE
    assert observed == {"not-attempted": 1}


async def test_a_gateway_that_cannot_be_reached_is_no_attempt_of_the_agent(make: Make) -> None:
    nobody = Target.parse("http://127.0.0.1:9")
    deliverer, _, observed = make(route=lambda _: AgentRoute(nobody, gateway=True))
    assert (await deliverer.handle(delivery(3))).verdict is Settlement.REQUEUE
    assert observed == {"not-attempted": 1}
    deliverer, _, observed = make(route=lambda _: AgentRoute(nobody))
    assert (await deliverer.handle(delivery(3))).verdict is Settlement.DEAD_LETTER


async def test_an_agent_cannot_say_that_it_was_not_called(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=503, headers={"LambdaAgent-Attempted": "no"})]
    deliverer, _, observed = make()
    assert (await deliverer.handle(delivery())).verdict is Settlement.RETRY
    assert observed == {"retried": 1}


async def test_what_a_gateway_says_of_the_agent_s_own_failure_is_an_attempt(
    agent: tuple[Agent, str], make: Make
) -> None:
    agent[0].answers = [web.Response(status=503)]
    deliverer, _, _ = make(route=lambda _: AgentRoute(Target.parse(agent[1]), gateway=True))
    assert (await deliverer.handle(delivery())).verdict is Settlement.RETRY


@pytest.mark.parametrize("status", [404, 408, 409, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again_with_growing_waits(
    agent: tuple[Agent, str], make: Make, status: int
) -> None:
    agent[0].answers = [web.Response(status=status), web.Response(status=status)]
    deliverer, _, _ = make()
    outcomes = [await deliverer.handle(delivery(attempt)) for attempt in (1, 2, 3)]
    assert [(each.verdict, each.after) for each in outcomes] == [
        (Settlement.RETRY, 2.0),
        (Settlement.RETRY, 4.0),
        (Settlement.ACK, 0.0),
    ]
    assert agent[0].attempts == ["1", "2", "3"]


@pytest.mark.parametrize("status", [302, 400, 401, 403, 413, 422])
async def test_a_refusal_is_a_dead_letter_at_once(agent: tuple[Agent, str], make: Make, status: int) -> None:
    agent[0].answers = [web.Response(status=status)]
    deliverer, _, _ = make()
    outcome = await deliverer.handle(delivery())
    assert outcome.verdict is Settlement.DEAD_LETTER
    assert outcome.cause is not None
    assert (outcome.cause.agent, outcome.cause.code, outcome.cause.attempts) == ("n/a", status, 1)


async def test_patience_ends_with_the_cause_and_the_attempts(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=503)]
    deliverer, _, _ = make()
    outcome = await deliverer.handle(delivery(3))
    assert outcome.verdict is Settlement.DEAD_LETTER
    assert outcome.cause is not None
    assert (outcome.cause.attempts, outcome.cause.reason) == (3, "the agent answered 503")


async def test_an_agent_without_dead_letters_drops_what_it_refuses(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=422)]
    deliverer, _, observed = make(keep_dead=False)
    assert (await deliverer.handle(delivery())).verdict is Settlement.ACK
    assert observed["dropped"] == 1


async def test_a_longer_retry_after_counts(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=429, headers={"Retry-After": "30"})]
    deliverer, _, _ = make()
    assert (await deliverer.handle(delivery())).after == 30.0


async def test_what_was_delivered_before_is_not_delivered_again(agent: tuple[Agent, str], make: Make) -> None:
    first, _, _ = make()
    outcome = await first.handle(delivery())
    assert outcome.settle is not None
    await outcome.settle()
    second, _, observed = make()  # another process, over the same store
    assert (await second.handle(delivery(session=1, redelivered=True))).verdict is Settlement.ACK
    assert (agent[0].calls, observed["duplicate"]) == (1, 1)
    await second.handle(delivery(session=1, redriven=True))
    assert agent[0].calls == 2


async def test_of_two_copies_at_once_the_second_waits_and_is_a_duplicate(agent: tuple[Agent, str], make: Make) -> None:
    deliverer, _, observed = make()
    outcomes = await asyncio.gather(deliverer.handle(delivery()), deliverer.handle(delivery()))
    assert [each.verdict for each in outcomes] == [Settlement.ACK, Settlement.ACK]
    assert (agent[0].calls, observed["duplicate"]) == (1, 1)


async def test_a_dead_letter_that_could_not_be_buried_is_delivered_again(agent: tuple[Agent, str], make: Make) -> None:
    """Its `settle` is never called then, so nothing may take it for done."""
    agent[0].answers = [web.Response(status=422), web.Response(status=422)]
    deliverer, _, _ = make()
    for _ in range(2):
        assert (await deliverer.handle(delivery(redelivered=True))).verdict is Settlement.DEAD_LETTER
    assert agent[0].calls == 2


async def test_an_event_that_nobody_asked_for_is_dropped_untried(agent: tuple[Agent, str], make: Make) -> None:
    deliverer, _, observed = make(wants=lambda event: event.type == "other")
    assert (await deliverer.handle(delivery())).verdict is Settlement.ACK
    assert (agent[0].calls, observed["not-wanted"]) == (0, 1)


async def test_a_broken_agent_is_called_one_at_a_time_with_pauses(agent: tuple[Agent, str], make: Make) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    circuit = Circuit(failures=2, sleep=sleep)
    deliverer, _, _ = make(circuit=circuit)
    agent[0].answers = [web.Response(status=500) for _ in range(4)]
    for number in range(4):
        await deliverer.handle(BrokerDelivery(replace(EVENT, id="1", source=f"/{number}"), "queue"))
    assert circuit.open
    assert len(pauses) == 2
    await deliverer.handle(BrokerDelivery(replace(EVENT, source="/good"), "queue"))
    assert not circuit.open


REPLY = {"ce-specversion": "1.0", "ce-id": "r1", "ce-type": "reply", "ce-source": "/a"}


async def test_an_event_in_the_answer_is_published_before_the_acknowledgement(
    agent: tuple[Agent, str], make: Make
) -> None:
    agent[0].answers = [web.Response(status=200, headers=REPLY, body=b"answer")]
    deliverer, replies, _ = make()
    await deliverer.handle(delivery())
    assert [(event.id, event.data) for event in replies] == [("r1", b"answer")]


async def test_a_reply_gets_the_task_of_what_it_replies_to(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=200, headers=REPLY), web.Response(headers=REPLY | {"ce-a2ataskid": "own"})]
    deliverer, replies, _ = make()
    for number in range(2):
        asked = replace(EVENT, source=f"/{number}", extensions={"a2ataskid": "t1", "a2acontextid": "c1"})
        await deliverer.handle(BrokerDelivery(asked, "queue"))
    assert [event.extensions["a2ataskid"] for event in replies] == ["t1", "own"]
    assert replies[0].extensions["a2acontextid"] == "c1"


async def test_a_reply_that_cannot_be_published_is_tried_without_asking_the_agent_again(
    agent: tuple[Agent, str], make: Make
) -> None:
    tried = 0

    async def fails(_: Sequence[Event]) -> None:
        nonlocal tried
        tried += 1
        raise BrokerUnavailableError("gone")

    agent[0].answers = [web.Response(status=200, headers=REPLY)]
    deliverer, _, _ = make(reply=fails)
    with pytest.raises(BrokerUnavailableError):
        await deliverer.handle(delivery())
    assert (agent[0].calls, tried) == (1, 10)


async def test_a_broken_reply_does_not_lose_the_delivery(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=200, headers={"ce-specversion": "1.0", "ce-id": "r1"})]
    deliverer, replies, observed = make()
    assert (await deliverer.handle(delivery())).verdict is Settlement.ACK
    assert (replies, observed["bad-reply"]) == ([], 1)


async def test_a_task_hears_that_its_call_could_not_be_delivered(agent: tuple[Agent, str], make: Make) -> None:
    skill = Skill(id="s", name="s", invoke=Invoke(mode="async"))
    agent[0].answers = [web.Response(status=422)]
    deliverer, replies, _ = make(calls=Calls("a", {types.INVOKE_ASYNC: (skill,)}))
    call = replace(EVENT, type=types.INVOKE_ASYNC, extensions={"a2aagent": "a", "a2ataskid": "t1"})
    assert (await deliverer.handle(BrokerDelivery(call, "queue"))).verdict is Settlement.DEAD_LETTER
    assert [(event.type, event.extensions["a2ataskid"]) for event in replies] == [(types.RESPONSE_ERROR, "t1")]


async def test_while_the_agent_is_down_deliveries_wait(agent: tuple[Agent, str], make: Make) -> None:
    is_up = asyncio.Event()

    async def up() -> None:
        await is_up.wait()

    deliverer, _, _ = make(up=up)
    task = asyncio.create_task(deliverer.handle(delivery()))
    await asyncio.sleep(0.02)
    assert agent[0].calls == 0
    is_up.set()
    assert (await task).verdict is Settlement.ACK
