"""A task and its push configuration are created together: a retry finds both or neither, and the task is run."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from tests.integration.durability.client import Json, state
from tests.integration.durability.pair import CALLS, Pair
from tests.integration.durability.receiver import Receiver, receiving
from tests.parts.polling import eventually

TABLE = "lambdaagent_pushes"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Random(1)) as found:
        yield found


async def both_are_there(pair: Pair, receiver: Receiver, task: Json) -> None:
    """The task has ended with its one configuration, and the receiver was told so."""
    assert state(task) == "COMPLETED"
    listed = await pair.client.ask(1, CALLS, "ListTaskPushNotificationConfigs", {"taskId": task["id"]})
    assert [config["url"] for config in listed["configs"]] == [f"{receiver.url}/one"]
    await eventually(lambda: any(_ends(body, task) for body in receiver.got["one"]), within=10)
    assert await pair.database.fetchval("SELECT count(*) FROM lambdaagent_tasks") == 1


def _ends(body: Json, task: Json) -> bool:
    update = body.get("statusUpdate", {})
    return update.get("taskId") == task["id"] and update["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_gateway_that_is_killed_between_them_leaves_both_or_neither(pair: Pair, receiver: Receiver) -> None:
    async with pair.locked(TABLE):
        sending = pair.begin("say one", "one", push=f"{receiver.url}/one")
        waiting = await pair.waiting_for_lock()
        await asyncio.to_thread(pair.gateways[0].kill)
        await pair.terminate(waiting)
    await sending
    task = await pair.send("say one", "one", gateway=1, push=f"{receiver.url}/one")
    await both_are_there(pair, receiver, task)


@pytest.mark.parametrize("repeated_at", [0, 1], ids=["repeated at the same gateway", "repeated at another one"])
async def test_a_write_that_fails_between_them_leaves_both_or_neither(
    pair: Pair, receiver: Receiver, repeated_at: int
) -> None:
    async with pair.locked(TABLE):
        sending = pair.begin("say one", "one", push=f"{receiver.url}/one")
        await pair.terminate(await pair.waiting_for_lock())
    await sending
    task = await pair.send("say one", "one", gateway=repeated_at, push=f"{receiver.url}/one")
    await both_are_there(pair, receiver, task)
    assert pair.container.keys("begun") == ["one"]


async def test_a_task_of_a_gateway_that_was_killed_before_it_called_is_seen_to(pair: Pair) -> None:
    """Nobody repeats the message; the store had the task, and its gateway is gone before the answer reaches it."""
    await pair.warm()
    pair.line.hold_answers()
    sending = pair.begin("say one", "one", skill="again")
    await pair.stored("once LIKE '%one'")
    await asyncio.to_thread(pair.gateways[0].kill)
    pair.lose_answers()
    await sending
    task_id = await pair.stored("settled = 2", within=20)
    assert state(await pair.client.ask(1, CALLS, "GetTask", {"id": task_id})) == "COMPLETED"
