"""One delivery to a real HTTP server: how often it is tried, what becomes of it, what is kept of the cause."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from lambdaagent.agents import clock as clocks
from lambdaagent.agents.client import Client
from lambdaagent.agents.wire import Target
from lambdaagent.broker.protocol import Delivery, Verdict
from lambdaagent.dispatcher.delivering import Deliverer
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.delivery import Policy

EVENT = Event(id="1", source="/s", type="t", data=b"data")


class Agent:
    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.calls = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.calls += 1
        assert request.headers["ce-id"] == "1"
        return self.answers.pop(0) if self.answers else web.Response(status=202)


@pytest.fixture
async def agent() -> AsyncIterator[tuple[Agent, str]]:
    found = Agent()
    app = web.Application()
    app.router.add_post("/", found.handle)
    async with TestServer(app) as server:
        yield found, str(server.make_url("/"))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


Make = Callable[..., tuple[Deliverer, list[float], list[Event]]]


@pytest.fixture
def make(agent: tuple[Agent, str], client: Client) -> Make:
    def build(**options: Any) -> tuple[Deliverer, list[float], list[Event]]:
        waits: list[float] = []
        replies: list[Event] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        async def reply(events: Sequence[Event]) -> None:
            replies.extend(events)

        async def up() -> None:
            return

        parts = {"policy": Policy(retry=2, delay=1.0), "reply": reply, "up": up, "sleep": sleep} | options
        return (
            Deliverer(agent="n/a", target=Target.parse(agent[1]), client=client, clock=clocks.system(), **parts),
            waits,
            replies,
        )

    return build


def delivery() -> Delivery:
    return Delivery(EVENT, "queue", 1)


async def test_success_is_acknowledged(agent: tuple[Agent, str], make: Make) -> None:
    deliverer, waits, _ = make()
    assert (await deliverer.handle(delivery())).verdict is Verdict.ACK
    assert (agent[0].calls, waits) == (1, [])


@pytest.mark.parametrize("status", [404, 408, 409, 425, 429, 500, 503])
async def test_what_may_pass_is_tried_again_with_growing_waits(
    agent: tuple[Agent, str], make: Make, status: int
) -> None:
    agent[0].answers = [web.Response(status=status), web.Response(status=status)]
    deliverer, waits, _ = make()
    assert (await deliverer.handle(delivery())).verdict is Verdict.ACK
    assert (agent[0].calls, waits) == (3, [2.0, 4.0])


@pytest.mark.parametrize("status", [302, 400, 401, 403, 413, 422])
async def test_a_refusal_is_a_dead_letter_at_once(agent: tuple[Agent, str], make: Make, status: int) -> None:
    agent[0].answers = [web.Response(status=status)]
    deliverer, waits, _ = make()
    outcome = await deliverer.handle(delivery())
    assert outcome.verdict is Verdict.DEAD_LETTER
    assert outcome.extensions["knativeerrorcode"] == status
    assert (agent[0].calls, waits) == (1, [])


async def test_patience_ends_with_the_cause_and_the_attempts(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=503) for _ in range(9)]
    deliverer, _, _ = make()
    outcome = await deliverer.handle(delivery())
    assert outcome.verdict is Verdict.DEAD_LETTER
    assert outcome.extensions["lambdaagentattempts"] == 3
    assert outcome.extensions["knativeerrordata"] == "the agent answered 503"


async def test_an_agent_without_dead_letters_drops_what_it_refuses(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=422)]
    deliverer, _, _ = make(keep_dead=False)
    assert (await deliverer.handle(delivery())).verdict is Verdict.ACK


async def test_a_longer_retry_after_counts(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=429, headers={"Retry-After": "30"})]
    deliverer, waits, _ = make()
    await deliverer.handle(delivery())
    assert waits == [30.0]


async def test_an_event_in_the_answer_is_published_before_the_acknowledgement(
    agent: tuple[Agent, str], make: Make
) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "r1", "ce-type": "reply", "ce-source": "/a"}
    agent[0].answers = [web.Response(status=200, headers=headers, body=b"answer")]
    deliverer, _, replies = make()
    await deliverer.handle(delivery())
    assert [(event.id, event.data) for event in replies] == [("r1", b"answer")]


async def test_a_reply_that_cannot_be_published_is_not_acknowledged(agent: tuple[Agent, str], make: Make) -> None:
    async def fails(_: Sequence[Event]) -> None:
        raise ConnectionError("broker gone")

    headers = {"ce-specversion": "1.0", "ce-id": "r1", "ce-type": "reply", "ce-source": "/a"}
    agent[0].answers = [web.Response(status=200, headers=headers)]
    deliverer, _, _ = make(reply=fails)
    with pytest.raises(ConnectionError):
        await deliverer.handle(delivery())


async def test_a_broken_reply_does_not_lose_the_delivery(agent: tuple[Agent, str], make: Make) -> None:
    agent[0].answers = [web.Response(status=200, headers={"ce-specversion": "1.0", "ce-id": "r1"})]
    deliverer, _, replies = make()
    assert (await deliverer.handle(delivery())).verdict is Verdict.ACK
    assert replies == []


async def test_while_the_agent_is_down_deliveries_wait(agent: tuple[Agent, str], make: Make) -> None:
    is_up = asyncio.Event()

    async def up() -> None:
        await is_up.wait()

    deliverer, _, _ = make(up=up)
    task = asyncio.create_task(deliverer.handle(delivery()))
    await asyncio.sleep(0.02)
    assert agent[0].calls == 0
    is_up.set()
    assert (await task).verdict is Verdict.ACK
