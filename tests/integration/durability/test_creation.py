"""A task and its push configuration are created together: a retry finds both or neither, and the task is run."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio
from tests.integration.durability.client import Json, state
from tests.integration.durability.pair import CALLS, Pair
from tests.integration.durability.receiver import Receiver, receiving
from tests.parts.polling import eventually

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

PUSHES, TASKS = "lambdaagent_pushes", "lambdaagent_tasks"


@pytest_asyncio.fixture(loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(Random(1)) as found:
        yield found


async def both_are_there(pair: Pair, receiver: Receiver, task: Json) -> None:
    """Asserts that there is one task with one configuration, and that its receiver gets the end of the task."""
    listed = await pair.client.ask(1, CALLS, "ListTaskPushNotificationConfigs", {"taskId": task["id"]})
    assert [config["url"] for config in listed["configs"]] == [f"{receiver.url}/one"]
    await eventually(lambda: any(_ends(body, task) for body in receiver.got["one"]), within=10)
    assert await pair.look("count(*)") == 1


def _ends(body: Json, task: Json) -> bool:
    update = body.get("statusUpdate", {})
    return update.get("taskId") == task["id"] and update["status"] == task["status"]


async def test_a_gateway_that_is_killed_between_them_leaves_both_or_neither(pair: Pair, receiver: Receiver) -> None:
    await pair.lock(PUSHES)
    sending = pair.begin("say one", "one", push=f"{receiver.url}/one")
    waiting = await pair.waiting_for_lock(query="INSERT INTO")
    await asyncio.to_thread(pair.gateways[0].kill)
    await pair.terminate(waiting)
    await pair.unlock(PUSHES)
    await sending
    task = await pair.send("say one", "one", gateway=1, push=f"{receiver.url}/one")
    await both_are_there(pair, receiver, task)


@pytest.mark.parametrize("repeated_at", [0, 1], ids=["repeated at the same gateway", "at another one"])
async def test_a_write_that_fails_between_them_leaves_both_or_neither(
    pair: Pair, receiver: Receiver, repeated_at: int
) -> None:
    await pair.lock(PUSHES)
    sending = pair.begin("say one", "one", push=f"{receiver.url}/one")
    await pair.terminate(await pair.waiting_for_lock(query="INSERT INTO"))
    await pair.unlock(PUSHES)
    task = await sending
    if task is None or repeated_at:
        task = await pair.send("say one", "one", gateway=repeated_at, push=f"{receiver.url}/one")
    assert state(task) == "COMPLETED"
    await both_are_there(pair, receiver, task)
    assert pair.container.keys("begun") == ["one"]


async def test_a_task_of_a_gateway_that_was_killed_before_it_called_is_seen_to(pair: Pair) -> None:
    """Nobody repeats the message; the store has the task, and its gateway was gone before it heard of that."""
    await pair.warm()
    await pair.lock(TASKS)
    sending = pair.begin("say one", "one", skill="again")
    await pair.waiting_for_lock()
    await asyncio.to_thread(pair.gateways[0].kill)
    await pair.unlock(TASKS)
    await sending
    task_id = await pair.stored("settled = 2 AND once LIKE '%one'", within=20)
    assert state(await pair.ended(task_id)) == "COMPLETED"
