"""One call to a container for a task: the response is stored as it arrives, and held until the store has it.

Time that a write waits for the store does not count against the call's timeout: the timeout is suspended meanwhile and
does not interrupt the write. A call ends when the task has ended elsewhere or another replica has taken it over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import refused, status_update
from lambdaagent.containers.call import Caller
from lambdaagent.containers.turn import Turn
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.store.errors import UnfitError
from lambdaagent.store.records import TaskRecord
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome
from lambdaagent.tasks.artifact_replacement import Replacing
from lambdaagent.tasks.concurrency import CallLimiter
from lambdaagent.tasks.errors import is_refusal
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.requests import priority_of
from lambdaagent.tasks.storing import FOR_EVER

SharedContext = Callable[[str, str], Awaitable[Json | None]]
"""Returns what agents share under a context id, as far as the owner of the task takes part in it."""
GRACE = 1.0  # seconds for which the engine waits beyond the call's timeout
LIMITED = (TimeoutError, UnfitError)
"""Errors that end a call; `given_up` fails the task with the reason."""
_NO_WAIT = 0.01  # seconds; a shorter wait for a slot does not shorten the timeout
_LONGEST_WRITE = 30.0  # seconds; one attempt to write ends earlier, whatever the store does
_REFERENCES = "referenceTaskIds"
_MOST_REFERENCES = 16  # each costs a read of the store
_OVER = (EventOutcome.ENDED, EventOutcome.TAKEN)


class ContainerCalls:
    def __init__(
        self,
        *,
        active_tasks: ActiveTasks,
        caller: Caller,
        limiter: CallLimiter,
        replica: str,
        shared_context: SharedContext | None = None,
    ) -> None:
        self._active_tasks = active_tasks
        self._caller = caller
        self._limiter = limiter
        self._replica = replica
        self._shared_context = shared_context

    async def given_up(self, active: ActiveTask, turn: Turn, error: Exception) -> None:
        """Fail a task whose call exceeded its timeout or whose response cannot be stored."""
        if isinstance(error, UnfitError):
            text = f"The agent's response cannot be stored: {error}."
        else:
            waits = active.record.state is TaskState.SUBMITTED
            text = self._limiter.too_late(turn.callee, seconds=turn.timeout, waits=waits)
        await self._active_tasks.fail(active, text, replica=self._replica)

    async def refused(self, active: ActiveTask, error: RefusedMessageError, *, waited: Json | None = None) -> None:
        """Restore `waited`, the status in which the task waited for its client, if the container refused the message.

        The task fails instead if the message began it, or if the container failed.
        """
        if waited is None or not is_refusal(error):
            what = "refuses the message" if is_refusal(error) else "answers with an error"
            text = f"The agent {what}: {error} (code {error.code})."
            await self._active_tasks.fail(active, text, replica=self._replica)
            return
        update = refused(waited, now=self._active_tasks.clock.now())
        await self._active_tasks.apply(active, [update], replica=self._replica, patience=FOR_EVER)

    async def call(self, active: ActiveTask, turn: Turn, replacing: Replacing, limit: asyncio.Timeout) -> bool:
        """Run the call until the response is complete. False: the task has ended, or another replica holds it."""
        async with self._limiter.turn(turn.callee, priority=priority_of(turn.message)) as waited:
            if waited > _NO_WAIT:
                turn = replace(turn, timeout=max(0.1, turn.timeout - waited))
            if active.record.state is TaskState.SUBMITTED:
                working = status_update(TaskState.WORKING, now=self._active_tasks.clock.now())
                if not await self.write(active, [working], limit):
                    return False
            if turn.callee.protocol == "a2a" and _REFERENCES in turn.message:
                turn = replace(turn, message=await self._with_their_ids(turn.message, active.record))
            if self._shared_context is not None and turn.skill is not None and turn.skill.invocation.shared_context:
                shared = await self._shared_context(active.record.owner, active.record.context_id)
                turn = replace(turn, shared=shared)
            async with aclosing(self._caller.stream(turn)) as batches:
                async for updates in batches:
                    if updates and not await self.write(active, replacing.renamed(updates), limit):
                        return False
                    if active.record.state.terminal:
                        return False
        return True

    async def _with_their_ids(self, message: Json, record: TaskRecord) -> Json:
        """Return the message with the container's ids in referenceTaskIds; tasks without such an id are left out."""
        theirs = []
        for task_id in message[_REFERENCES][:_MOST_REFERENCES]:
            found = await self._active_tasks.store.get(task_id)
            if found is not None and found.remote and _are_alike(found, record):
                theirs.append(found.remote)
        kept = {key: value for key, value in message.items() if key != _REFERENCES}
        return {**kept, _REFERENCES: theirs} if theirs else kept

    async def write(
        self, active: ActiveTask, updates: list[Json], limit: asyncio.Timeout, *, holder: str | None = None
    ) -> bool:
        """Append updates, waiting while the store is unreachable.

        False: the task has ended, or another replica holds it.
        """
        loop, until = asyncio.get_running_loop(), limit.when()
        began = loop.time()

        def stand_still() -> None:
            if limit.when() is not None and not limit.expired():
                limit.reschedule(None)

        if until is not None and until - began < _LONGEST_WRITE:
            stand_still()
        try:
            outcome = await self._active_tasks.apply(
                active, updates, holder=holder, replica=self._replica, patience=FOR_EVER, waits=stand_still
            )
        finally:
            if until is not None and limit.when() is None:
                limit.reschedule(until + loop.time() - began)
        return outcome not in _OVER


def _are_alike(one: TaskRecord, other: TaskRecord) -> bool:
    """Whether both tasks belong to the same client and agent; a client may not refer to the tasks of another."""
    return (one.owner, one.namespace, one.agent) == (other.owner, other.namespace, other.agent)
