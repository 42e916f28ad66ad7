"""PostgreSQL commits and its answer is lost: what was written counts, and is neither repeated nor forgotten."""

import pytest
from tests.integration.durability.client import reason, state, texts
from tests.integration.durability.pair import CALLS, Pair

BOTH = pytest.mark.parametrize("repeated_at", [0, 1], ids=["repeated at the same gateway", "repeated at another one"])


@BOTH
async def test_a_task_whose_creation_was_not_answered_is_found_and_run(pair: Pair, repeated_at: int) -> None:
    await pair.warm()
    pair.line.hold_answers()
    sending = pair.begin("say one", "one")
    await pair.stored("once LIKE '%one'")
    pair.lose_answers()
    await sending
    task = await pair.send("say one", "one", gateway=repeated_at)
    assert (state(task), texts(task)) == ("COMPLETED", [["done: one"]])
    assert pair.container.keys("begun") == ["one"]


async def test_a_task_whose_creation_was_not_answered_is_run_though_nobody_repeats_it(pair: Pair) -> None:
    await pair.warm()
    pair.line.hold_answers()
    sending = pair.begin("say one", "one")
    await pair.stored("once LIKE '%one'")
    pair.lose_answers()
    await sending
    await pair.stored("settled = 2", within=20)
    assert pair.container.keys("begun") == ["one"]


async def test_an_end_that_was_not_answered_is_the_end(pair: Pair) -> None:
    sending = pair.begin("hold one", "one")
    await pair.begun("one")
    await pair.warm()
    pair.line.hold_answers()
    pair.container.release()
    task_id = await pair.stored("settled = 2")
    pair.lose_answers()
    task = await sending or await pair.send("hold one", "one")
    assert (state(task), texts(task)) == ("COMPLETED", [["done: one"]])
    assert await pair.client.task(CALLS, task_id) == task


async def test_a_stream_goes_on_after_a_chunk_that_was_not_answered(pair: Pair) -> None:
    words = 25
    sending = pair.begin(f"count one {words}", "one", wait=False)
    task_id = await pair.stored("version > 3")
    await pair.warm()
    pair.line.hold_answers()
    before = await pair.version(task_id)
    await pair.stored("version > $1", before)
    pair.lose_answers()
    await sending
    task = await pair.client.settled(CALLS, task_id, within=15)
    assert state(task) == "COMPLETED", reason(task)
    assert texts(task) == [[str(number) for number in range(words)]]
    assert pair.container.keys("done") == ["one"]
