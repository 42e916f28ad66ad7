"""A follow-up to a task that waits for input obeys Idempotency-Key and messageId, as a first message does."""

import asyncio

import pytest
from tests.integration.durability.client import Json, send, state
from tests.integration.durability.pair import CALLS, ONCE, Pair

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAYS = pytest.mark.parametrize("repeated_at", [0, 1], ids=["at the same gateway", "at another one"])
# How a request is told to be the same: by its key, or by its message's id at an agent that has deduplicateMessages.
WAYS = pytest.mark.parametrize(
    ("agent", "keyed"), [(CALLS, True), (ONCE, False)], ids=["Idempotency-Key", "deduplicateMessages"]
)


async def waiting(pair: Pair, agent: str) -> str:
    task = await pair.send("ask one 1", "one", agent=agent)
    assert state(task) == "INPUT_REQUIRED"
    return str(task["id"])


def said(task: Json) -> list[str]:
    return [message["messageId"] for message in task["history"] if message["role"] == "ROLE_USER"]


@GATEWAYS
@WAYS
@pytest.mark.parametrize(
    ("text", "then"), [("say two", "COMPLETED"), ("ask two 1", "INPUT_REQUIRED")], ids=["ends", "asks again"]
)
async def test_a_follow_up_that_is_repeated_is_one_turn(
    pair: Pair, repeated_at: int, agent: str, keyed: bool, text: str, then: str
) -> None:
    task_id = await waiting(pair, agent)
    first = await pair.send(text, "two", agent=agent, keyed=keyed, task_id=task_id)
    again = await pair.send(text, "two", gateway=repeated_at, agent=agent, keyed=keyed, task_id=task_id)
    assert (again["id"], state(first), state(again)) == (task_id, then, then)
    assert (said(again), pair.container.keys("begun")) == (["one", "two"], ["one", "two"])


@GATEWAYS
@WAYS
async def test_a_follow_up_that_is_repeated_while_it_runs_waits_for_the_same_end(
    pair: Pair, repeated_at: int, agent: str, keyed: bool
) -> None:
    task_id = await waiting(pair, agent)
    first = pair.begin("hold two", "two", agent=agent, keyed=keyed, task_id=task_id)
    await pair.begun("two")
    again = pair.begin("hold two", "two", gateway=repeated_at, agent=agent, keyed=keyed, task_id=task_id)
    await asyncio.sleep(0.5)
    done = again.done()
    pair.container.release()
    tasks = await asyncio.gather(first, again)
    assert [(task and state(task)) for task in tasks] == ["COMPLETED", "COMPLETED"]
    assert not done
    assert pair.container.keys("begun") == ["one", "two"]


@GATEWAYS
async def test_a_follow_up_whose_write_was_not_answered_is_one_turn(pair: Pair, repeated_at: int) -> None:
    await pair.warm()
    task_id = await waiting(pair, CALLS)
    before = await pair.version(task_id)
    await pair.lock("lambdaagent_changes")
    sending = pair.begin("say two", "two", task_id=task_id)
    await pair.lose_answer("lambdaagent_changes", "id = $1 AND version > $2", task_id, before)
    await sending
    task = await pair.send("say two", "two", gateway=repeated_at, task_id=task_id)
    assert (state(task), said(task)) == ("COMPLETED", ["one", "two"])
    assert pair.container.keys("begun").count("two") == 1


async def test_the_key_of_the_first_message_means_another_request_in_another_task(pair: Pair) -> None:
    task_id = await waiting(pair, CALLS)
    task = await pair.send("say two", "two", task_id=task_id)
    other = await pair.send("say three", "three")
    assert (state(task), task["id"] != other["id"]) == ("COMPLETED", True)


async def test_a_stream_of_a_follow_up_that_is_repeated_is_the_same_turn(pair: Pair) -> None:
    task_id = await waiting(pair, CALLS)
    params = send("say two", "two", skill="say", task_id=task_id)
    for gateway in (0, 1):
        events = pair.client.events(gateway, CALLS, "SendStreamingMessage", params, key="two")
        assert [event async for event in events]
    task = await pair.client.ask(1, CALLS, "GetTask", {"id": task_id})
    assert (state(task), said(task)) == ("COMPLETED", ["one", "two"])
    assert pair.container.keys("begun") == ["one", "two"]
