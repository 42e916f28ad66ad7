"""Calls to containers, each in a task of its own that is cancelled and awaited at shutdown.

Bounded twice: so many at once in this process, and for an agent with a limit so many of its own (`places`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from lambdaagent import log_context
from lambdaagent.a2a import Json
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.api.a2a import Skill
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.containers.turn import Turn
from lambdaagent.errors import LambdaAgentError
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.tasks.active_task import Limits, Live
from lambdaagent.tasks.calling import GRACE, LIMITED, Calling
from lambdaagent.tasks.concurrency import Places
from lambdaagent.tasks.errors import EngineBusyError, refusal
from lambdaagent.tasks.event_calls import Carrier, travels
from lambdaagent.tasks.registry import Lives
from lambdaagent.tasks.replacing import Replacing

log = structlog.get_logger(__name__)


class Runner:
    def __init__(
        self,
        *,
        lives: Lives,
        calling: Calling,
        limits: Limits,
        places: Places,
        carrier: Carrier | None = None,
    ) -> None:
        """Without a carrier, no broker is there, and skills of mode async are called like the others."""
        self._carrier = carrier
        self._lives = lives
        self._calling = calling
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
        request: Send | None = None,
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
            request=request,
        )

    def dispatch(
        self,
        live: Live,
        callee: Callee,
        skill: Skill | None,
        message: Json,
        *,
        traceparent: str | None,
        replaced: Sequence[str] = (),
        request: Send | None = None,
        waited: Json | None = None,
    ) -> None:
        """`replaced` are the artifacts that an earlier attempt left unfinished.

        `waited`: the message is a follow-up to a task that waited for it with this status.
        """
        record = live.record
        live.refusal = None
        self._lives.started(record.id)
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
                request=request,
            )
            work = partial(self._run, live, turn, Replacing(replaced), waited)
        self._lives.hold(live)
        run = asyncio.create_task(self._root(live, work))
        live.run = run
        self._runs.add(run)
        # Not in the task itself: one that is cancelled before its first step never runs.
        run.add_done_callback(partial(self._ended, live))

    async def stop(self, *, grace: float) -> None:
        if self._runs and grace > 0:
            await asyncio.wait(self._runs, timeout=grace)
        for run in self._runs:
            run.cancel()
        if self._runs:
            await asyncio.wait(self._runs)

    def _ended(self, live: Live, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        live.ended(run)
        self._lives.drop(live)

    async def _root(self, live: Live, work: Callable[[], Awaitable[None]]) -> None:
        log_context.task(live.record.id)
        try:
            await work()
        except Exception as error:  # the root of this task
            self._lives.observer.crashed()
            log.exception("task.crashed", agent=f"{live.record.namespace}/{live.record.agent}")
            reason = str(error) if isinstance(error, LambdaAgentError) else "an internal error; its log says more"
            await self._lives.abandon(live, f"The gateway failed: {reason}.")

    async def _run(self, live: Live, turn: Turn, replacing: Replacing, waited: Json | None) -> None:
        try:
            async with asyncio.timeout(turn.timeout + GRACE) as limit:
                going_on = await self._calling.call(live, turn, replacing, limit)
                if not going_on or live.record.state.settled:
                    return
                # 202 and its like: the container goes on by itself, and an event settles the task, wherever it arrives.
                if await self._calling.write(live, [], limit, holder=""):
                    await self._lives.settled(live, look_every=self._limits.look_every)
        except LIMITED as error:
            await self._calling.given_up(live, turn, error)
        except RefusedMessageError as error:
            live.refusal = refusal(error)
            await self._calling.refused(live, error, waited=waited)
