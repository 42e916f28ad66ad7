"""One call to a container for a task: its answer is stored as it comes, and kept until the store has it.

The time that a write waits for the store is not the container's: the call's limit stands still meanwhile, and a write
is not cut short by it. A call ends when the task has ended elsewhere or another replica has taken it over.
"""

import asyncio
from contextlib import aclosing
from dataclasses import replace

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.agents.calls import Caller, Turn
from lambdaagent.store.errors import UnfitError
from lambdaagent.tasks.live import Live, Outcome
from lambdaagent.tasks.lives import Lives
from lambdaagent.tasks.places import Places
from lambdaagent.tasks.replacing import Replacing
from lambdaagent.tasks.storing import FOR_EVER

GRACE = 1.0  # seconds that the container's own time-out may be late
LIMITED = (TimeoutError, UnfitError)
"""What ends a call; `given_up` says it to the task."""
_NO_WAIT = 0.01  # seconds
_LONGEST_WRITE = 30.0  # seconds; one attempt to write ends before, whatever the store does
_OVER = (Outcome.ENDED, Outcome.TAKEN)


class Calling:
    def __init__(self, *, lives: Lives, caller: Caller, places: Places, replica: str) -> None:
        self._lives = lives
        self._caller = caller
        self._places = places
        self._replica = replica

    async def given_up(self, live: Live, turn: Turn, error: Exception) -> None:
        """The call took longer than its limit, or the container answered what no store could keep."""
        if isinstance(error, UnfitError):
            text = f"The agent's answer cannot be kept: {error}."
        else:
            waits = live.record.state is TaskState.SUBMITTED
            text = self._places.too_late(turn.callee, seconds=turn.timeout, waits=waits)
        await self._lives.fail(live, text, replica=self._replica)

    async def call(self, live: Live, turn: Turn, replacing: Replacing, limit: asyncio.Timeout) -> bool:
        """Returns when the container's answer is over. False: the task is no longer this replica's to work on."""
        async with self._places.turn(turn.callee) as waited:
            if waited > _NO_WAIT:
                turn = replace(turn, timeout=max(0.1, turn.timeout - waited))
            if live.record.state is TaskState.SUBMITTED:
                working = status_update(TaskState.WORKING, now=self._lives.clock.now())
                if not await self.write(live, [working], limit):
                    return False
            async with aclosing(self._caller.stream(turn)) as batches:
                async for updates in batches:
                    if updates and not await self.write(live, replacing.renamed(updates), limit):
                        return False
                    if live.record.state.terminal:
                        return False
        return True

    async def write(
        self, live: Live, updates: list[Json], limit: asyncio.Timeout, *, holder: str | None = None
    ) -> bool:
        """Waits for a store that is away. False: the task has ended, or another replica holds it."""
        loop, until = asyncio.get_running_loop(), limit.when()
        began = loop.time()

        def stand_still() -> None:
            if limit.when() is not None and not limit.expired():
                limit.reschedule(None)

        if until is not None and until - began < _LONGEST_WRITE:
            stand_still()
        try:
            outcome = await self._lives.apply(
                live, updates, holder=holder, replica=self._replica, patience=FOR_EVER, waits=stand_still
            )
        finally:
            if until is not None and limit.when() is None:
                limit.reschedule(until + loop.time() - began)
        return outcome not in _OVER
