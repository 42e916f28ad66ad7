"""A tool's run while its request is open."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from tests.parts.lag import slowness

from lambdaagent.gateway.mcp.calls.run import Run
from lambdaagent.tasks.requests import StreamEvent

PIECES = 40_000
TASK = {"id": "t", "contextId": "c", "status": {"state": "TASK_STATE_WORKING"}}


async def _events() -> AsyncGenerator[StreamEvent, None]:
    yield StreamEvent("1", {"task": TASK})
    artifact = {"artifactId": "a", "parts": [{"text": "x"}]}
    for number in range(PIECES):
        yield StreamEvent(str(number), {"artifactUpdate": {"artifact": artifact, "append": True}})
    yield StreamEvent("end", {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}})


@pytest.mark.holds_the_loop("it reads 40,000 pieces in few turns")
async def test_a_piece_costs_the_same_however_many_there_are() -> None:
    run, events = Run(_events()), _events()
    began = time.thread_time()
    await run.begin()
    number = 0
    async for event in events:
        number += 1
        if number % 1_000 == 0:
            await asyncio.sleep(0)
        if "task" not in event.event:
            run._take(event)
            assert run.settled == ("statusUpdate" in event.event)
    assert run.task is not None
    assert (time.thread_time() - began) / slowness() < 1.5
    assert len(run.task["artifacts"][0]["parts"]) == PIECES
    assert run.task["status"]["state"] == "TASK_STATE_COMPLETED"
    await run.close()
