"""PostgreSQL is away for one gateway: what could not be written is written later, and nothing untrue is said."""

import asyncio

import pytest
from tests.integration.durability.client import reason, state, texts
from tests.integration.durability.pair import CALLS, Pair
from tests.parts.polling import eventually

from lambdaagent.tasks.limits import EngineLimits

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = EngineLimits()
STATEMENT_SECONDS = 10.0  # as long as a statement may take
ADOPTED = LIMITS.lease + LIMITS.beat_every + 1.0  # seconds after which another gateway sees to a silent one's tasks


@pytest.mark.parametrize("repeated_at", [0, 1], ids=["repeated at the same gateway", "repeated at another one"])
async def test_an_answer_that_comes_while_the_store_is_away_is_kept(pair: Pair, repeated_at: int) -> None:
    sending = pair.begin("hold one", "one")
    await pair.begun("one")
    pair.line.refuse()
    pair.container.release()
    await pair.cut(seconds=2.3)
    task = await sending or await pair.send("hold one", "one", gateway=repeated_at)
    assert (state(task), texts(task)) == ("COMPLETED", [["done: one"]]), reason(task)
    assert pair.container.keys("begun") == ["one"]


async def test_a_stream_goes_on_when_the_store_is_back(pair: Pair) -> None:
    words = 30
    task = await pair.send(f"count one {words}", "one", wait=False)
    await pair.stored("version > 3")
    await pair.cut(seconds=1.5)
    task = await pair.client.settled(CALLS, task["id"], within=15)
    assert (state(task), texts(task)) == ("COMPLETED", [[str(number) for number in range(words)]]), reason(task)


async def test_an_answer_whose_write_ran_out_of_time_is_written_afterwards(pair: Pair) -> None:
    """A lock holds it up for longer than a statement may take."""
    sending = pair.begin("hold one", "one")
    await pair.begun("one")
    await pair.lock("lambdaagent_changes")
    pair.container.release()
    await pair.waiting_for_lock()
    await asyncio.sleep(STATEMENT_SECONDS + 1)
    await pair.unlock("lambdaagent_changes")
    task = await sending or await pair.send("hold one", "one", gateway=1)
    assert (state(task), texts(task)) == ("COMPLETED", [["done: one"]]), reason(task)


async def test_a_deadline_that_passes_while_the_store_is_away_ends_the_task(pair: Pair) -> None:
    task = await pair.send("hold one", "one", skill="brief", wait=False)
    await pair.begun("one")
    await pair.cut(seconds=5)
    task = await pair.client.settled(CALLS, task["id"], within=15)
    assert state(task) == "FAILED"
    assert "restarted" not in reason(task)


async def test_a_gateway_that_was_cut_off_for_longer_than_its_lease_is_not_said_to_have_restarted(pair: Pair) -> None:
    task = await pair.send("hold one", "one", wait=False)
    await pair.begun("one")
    await pair.cut(seconds=ADOPTED)
    pair.container.release()
    task = await pair.client.settled(CALLS, task["id"], within=15)
    assert "restarted" not in reason(task)
    for gateway in (0, 1):
        assert await pair.ended(task["id"], gateway=gateway) == task


async def test_a_call_that_another_gateway_began_anew_leaves_one_artifact(pair: Pair) -> None:
    """The first gateway has the whole answer when it is back, and the second one has begun to stream its own."""
    words = 50
    task = await pair.send(f"count one {words}", "one", skill="again", wait=False)
    await pair.stored("version > 3")
    await pair.cut(seconds=ADOPTED)
    task = await pair.client.settled(CALLS, task["id"], within=20)
    assert (state(task), texts(task)) == ("COMPLETED", [[str(number) for number in range(words)]]), reason(task)


async def test_a_cancel_reaches_the_container_though_nobody_heard_of_it(pair: Pair) -> None:
    """It is made at another gateway while the first one hears nothing of PostgreSQL."""
    task = await pair.send("hang one", "one", wait=False)
    await pair.begun("one")
    pair.line.refuse()
    await pair.client.ask(1, CALLS, "CancelTask", {"id": task["id"]})
    await pair.cut(seconds=0.5)
    await eventually(lambda: pair.container.keys("closed") == ["one"], within=15, what="the call is closed")
    assert state(await pair.client.ask(0, CALLS, "GetTask", {"id": task["id"]})) == "CANCELED"
