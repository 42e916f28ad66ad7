"""Calls to containers, each in a task of its own that is cancelled and awaited at shutdown.

Bounded twice: so many at once in this process, and for an agent with a limit so many of its own (`places`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import structlog

from lambdaagent import about
from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import status_update
from lambdaagent.agents.callee import Callee, timeout
from lambdaagent.agents.calls import Caller, Turn
from lambdaagent.api.a2a import Skill
from lambdaagent.errors import LambdaAgentError
from lambdaagent.tasks.carrying import GRACE, Carrier, travels
from lambdaagent.tasks.errors import EngineBusyError
from lambdaagent.tasks.live import Limits, Live
from lambdaagent.tasks.lives import Lives
from lambdaagent.tasks.places import Places

log = structlog.get_logger(__name__)
_NO_WAIT = 0.01  # seconds


class Runner:
    def __init__(
        self, *, lives: Lives, caller: Caller, limits: Limits, places: Places, carrier: Carrier | None = None
    ) -> None:
        """Without a carrier, no broker is there, and skills of mode async are called like the others."""
        self._carrier = carrier
        self._lives = lives
        self._caller = caller
        self._limits = limits
        self._places = places
        self._runs: set[asyncio.Task[None]] = set()

    def require_room(self, callee: Callee) -> TaskState:
        """The state in which a task begins. Raises EngineBusyError."""
        if len(self._runs) >= self._limits.held:
            raise EngineBusyError(f"{self._limits.held} tasks are under way; send the message again later")
        own = self._places.of(callee)
        if own is not None and own.held >= own.limit + self._limits.waiting:
            raise EngineBusyError(
                f"{callee.key} works on {own.limit} tasks and {self._limits.waiting} wait; send it again later"
            )
        waits = self._places.full or (own is not None and own.free.locked())
        return TaskState.SUBMITTED if waits else TaskState.WORKING

    def turn(
        self,
        callee: Callee,
        skill: Skill | None,
        message: Json,
        *,
        task_id: str,
        context_id: str,
        traceparent: str | None,
        remote: str = "",
    ) -> Turn:
        return Turn(
            callee=callee,
            skill=skill,
            message=message,
            task_id=task_id,
            context_id=context_id,
            timeout=timeout(skill),
            traceparent=traceparent,
            remote=remote,
        )

    def dispatch(
        self, live: Live, callee: Callee, skill: Skill | None, message: Json, *, traceparent: str | None
    ) -> None:
        record = live.record
        if self._carrier is not None and skill is not None and travels(skill):
            work = partial(self._carrier.send, live, callee, skill, message, traceparent=traceparent)
        else:
            turn = self.turn(
                callee,
                skill,
                message,
                task_id=record.id,
                context_id=record.context_id,
                traceparent=traceparent,
                remote=record.remote,
            )
            work = partial(self._run, live, turn)
        self._lives.hold(live)
        run = asyncio.create_task(self._ended(live, work))
        live.run = run
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def stop(self, *, grace: float) -> None:
        if self._runs and grace > 0:
            await asyncio.wait(self._runs, timeout=grace)
        for run in self._runs:
            run.cancel()
        if self._runs:
            await asyncio.wait(self._runs)

    async def _ended(self, live: Live, work: Callable[[], Awaitable[None]]) -> None:
        about.task(live.record.id)
        try:
            await work()
        except Exception as error:  # the root of this task
            self._lives.observer.crashed()
            log.exception("task.crashed", agent=f"{live.record.namespace}/{live.record.agent}")
            reason = str(error) if isinstance(error, LambdaAgentError) else "an internal error; its log says more"
            await self._lives.abandon(live, f"The gateway failed: {reason}.")
        finally:
            live.run = None
            self._lives.drop(live)

    async def _run(self, live: Live, turn: Turn) -> None:
        try:
            async with asyncio.timeout(turn.timeout + GRACE):
                await self._work(live, turn)
        except TimeoutError:
            waits = live.record.state is TaskState.SUBMITTED
            await self._lives.fail(live, self._places.too_late(turn.callee, seconds=turn.timeout, waits=waits))

    async def _work(self, live: Live, turn: Turn) -> None:
        async with self._places.turn(turn.callee) as waited:
            if waited > _NO_WAIT:
                turn = replace(turn, timeout=max(0.1, turn.timeout - waited))
            if live.record.state is TaskState.SUBMITTED:
                await self._lives.apply(live, [status_update(TaskState.WORKING, now=self._lives.clock.now())])
            async with aclosing(self._caller.stream(turn)) as batches:
                async for updates in batches:
                    if updates:
                        await self._lives.apply(live, updates)
                    if live.record.state.terminal:
                        return
        if not live.record.state.settled:
            # 202 and its like: the container goes on by itself, and an event will settle the task, wherever it arrives.
            await self._lives.apply(live, [], holder="")
            await live.settled()
