"""Events in an agent's response: they are published before the delivery is acknowledged."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiohttp import web
from tests.parts.deliveries import EVENT, Agent, Make, delivery

from lambdaagent.api.skills import Invoke, Skill
from lambdaagent.broker.errors import BrokerUnavailableError
from lambdaagent.broker.protocol import BrokerDelivery, Settlement
from lambdaagent.children.async_calls import Calls
from lambdaagent.events import types
from lambdaagent.events.cloudevents import Event

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
