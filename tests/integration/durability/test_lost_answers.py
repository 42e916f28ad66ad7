"""PostgreSQL commits and its answer is lost: what was written counts, and is neither repeated nor forgotten."""

import pytest
import pytest_asyncio
from tests.integration.durability.client import reason, state, texts
from tests.integration.durability.pair import CALLS, Pair

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

TASKS, CHANGES = "lambdaagent_tasks", "lambdaagent_changes"
REPEATED = pytest.mark.parametrize("repeated_at", [0, 1], ids=["repeated at the same gateway", "at another one"])


@pytest_asyncio.fixture(loop_scope="module")
async def created(pair: Pair) -> str:
    """Returns the id of a task that is in the store, while its gateway got no confirmation."""
    await pair.warm()
    await pair.lock(TASKS)
    sending = pair.begin("say one", "one")
    task_id = await pair.lose_answer(TASKS, "once LIKE '%one'")
    await sending
    return task_id


@REPEATED
async def test_a_task_whose_creation_was_not_answered_is_found_and_run(
    pair: Pair, created: str, repeated_at: int
) -> None:
    task = await pair.send("say one", "one", gateway=repeated_at)
    assert (task["id"], state(task), texts(task)) == (created, "COMPLETED", [["done: one"]])
    assert pair.container.keys("begun").count("one") == 1


async def test_a_task_whose_creation_was_not_answered_is_run_though_nobody_repeats_it(pair: Pair, created: str) -> None:
    await pair.stored("settled = 2 AND id = $1", created, within=20)
    assert pair.container.keys("begun").count("one") == 1


async def test_an_end_that_was_not_answered_is_the_end(pair: Pair) -> None:
    await pair.warm()
    sending = pair.begin("hold one", "one")
    await pair.begun("one")
    await pair.lock(CHANGES)
    pair.container.release()
    task_id = await pair.lose_answer(CHANGES, "settled = 2 AND once LIKE '%one'")
    task = await sending or await pair.send("hold one", "one")
    assert (state(task), texts(task)) == ("COMPLETED", [["done: one"]]), reason(task)
    assert await pair.client.task(CALLS, task_id) == task


async def test_a_stream_goes_on_after_a_chunk_that_was_not_answered(pair: Pair) -> None:
    words = 25
    await pair.warm()
    task = await pair.send(f"count one {words}", "one", wait=False)
    await pair.stored("id = $1 AND version > 3", task["id"])
    await pair.lock(CHANGES)
    before = await pair.version(task["id"])
    await pair.lose_answer(CHANGES, "id = $1 AND version > $2", task["id"], before)
    task = await pair.client.settled(CALLS, task["id"], within=15)
    assert state(task) == "COMPLETED", reason(task)
    assert texts(task) == [[str(number) for number in range(words)]]
