"""One delivery to a real HTTP server: how often it is attempted, its outcome, and the cause that is kept."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web
from tests.parts.deliveries import EVENT, Agent, Make, delivery

from lambdaagent.broker.protocol import BrokerDelivery, Settlement
from lambdaagent.dispatcher.circuit import Circuit
from lambdaagent.dispatcher.delivery import AgentRoute
from lambdaagent.httpclient.wire import Target


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
