"""A gateway dies in the middle of a stream of an idempotent skill: the next one's artifact replaces what it left."""

import asyncio

import pytest
from tests.integration.durability.client import AgainError, Json, reason, send, state, texts
from tests.integration.durability.pair import CALLS, Pair

from lambdaagent.a2a.tasks import fold

# In the loop that the gateways' proxy and connections run in.
pytestmark = pytest.mark.asyncio(loop_scope="module")

WORDS = 30


async def test_an_idempotent_stream_that_is_begun_anew_leaves_one_artifact(pair: Pair) -> None:
    task = await pair.send(f"count one {WORDS}", "one", skill="again", wait=False)
    await pair.stored("version > 5")
    await asyncio.to_thread(pair.gateways[0].kill)
    await pair.begun("one", times=2)
    task = await pair.ended(task["id"])
    assert (state(task), texts(task)) == ("COMPLETED", [[str(number) for number in range(WORDS)]]), reason(task)


async def test_who_follows_it_from_gateway_to_gateway_ends_with_the_same_artifact(pair: Pair) -> None:
    params = send(f"count one {WORDS}", "one", skill="again")
    seen: Json = {}
    last = ""
    killing = None
    try:
        async for event in pair.client.events(0, CALLS, "SendStreamingMessage", params, key="one"):
            last, seen = event.id, fold(seen, event.data) if seen else event.data["task"]
            if killing is None and any(len(each) > 5 for each in texts(seen)):
                killing = asyncio.create_task(asyncio.to_thread(pair.gateways[0].kill))
    except AgainError:
        pass
    assert killing is not None
    await killing
    async for event in pair.client.events(1, CALLS, "SubscribeToTask", {"id": seen["id"]}, after=last):
        seen = fold(seen, event.data)
    assert texts(seen) == [[str(number) for number in range(WORDS)]]
    assert texts(seen) == texts(await pair.client.ask(1, CALLS, "GetTask", {"id": seen["id"]}))
