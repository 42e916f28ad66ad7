"""Calls to containers, each in an asyncio task that is cancelled and awaited at shutdown.

Two limits apply: the calls at once in this process, and those of an agent that has a limit of its own (`limiter`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from lambdaagent import log_context
from lambdaagent.a2a import Json
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.api.skills import Skill
from lambdaagent.cancellation import cancel
from lambdaagent.containers import context_ids
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.containers.turn import Origin, Turn
from lambdaagent.errors import LambdaAgentError
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.tasks.active_task import ActiveTask
from lambdaagent.tasks.artifact_replacement import Replacing
from lambdaagent.tasks.concurrency import CallLimiter
from lambdaagent.tasks.container_calls import GRACE, LIMITED, ContainerCalls
from lambdaagent.tasks.errors import EngineBusyError, refusal
from lambdaagent.tasks.event_calls import EventCalls
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.registry import ActiveTasks

log = structlog.get_logger(__name__)


class CallRunner:
    def __init__(
        self,
        *,
        active_tasks: ActiveTasks,
        calling: ContainerCalls,
        limits: EngineLimits,
        limiter: CallLimiter,
        event_calls: EventCalls | None = None,
    ) -> None:
        """Without `event_calls` there is no broker, and skills of mode async are called like the others."""
        self._event_calls = event_calls
        self._active_tasks = active_tasks
        self._calling = calling
        self._limits = limits
        self._limiter = limiter
        self._runs: set[asyncio.Task[None]] = set()

    def require_room(self, callee: Callee) -> TaskState:
        """Return the state in which a task begins. Raises EngineBusyError if a limit of tasks is reached."""
        if len(self._runs) >= self._limits.held:
            raise EngineBusyError(f"{self._limits.held} tasks are unfinished, the limit; send the message again later")
        own = self._limiter.of(callee)
        if own is not None and own.held >= own.limit + self._limits.waiting:
            raise EngineBusyError(
                f"{callee.key} works on {own.limit} tasks and {self._limits.waiting} wait; send it again later"
            )
        waits = self._limiter.full or (own is not None and own.free.locked())
        return TaskState.SUBMITTED if waits else TaskState.WORKING

    def turn(
        self,
        callee: Callee,
        skill: Skill | None,
        message: Json,
        *,
        task_id: str,
        context_id: str,
        origin: Origin,
        task: Json | None = None,
        remote: str = "",
        request: Send | None = None,
    ) -> Turn:
        return Turn(
            callee=callee,
            skill=skill,
            message=message,
            task_id=task_id,
            context_id=context_ids.of_container(context_id, owner=origin.owner),
            timeout=timeout(skill),
            origin=origin,
            task=task,
            remote=remote,
            request=request,
        )

    def dispatch(
        self,
        active: ActiveTask,
        callee: Callee,
        skill: Skill | None,
        message: Json,
        *,
        origin: Origin,
        replaced: Sequence[str] = (),
        request: Send | None = None,
        waited: Json | None = None,
        again: bool = False,
    ) -> None:
        """Start the task's call; `replaced` are the ids of artifacts that an earlier attempt left unfinished.

        `again`: another gateway began it. `waited`: the message is a follow-up to a task that waited for it with this
        status.
        """
        record = active.record
        active.refusal = None
        self._active_tasks.started(record.id)
        if self._event_calls is not None and skill is not None and skill.is_async:
            send = self._event_calls.send
            work = partial(send, active, callee, skill, message, origin=origin, again=again)
        else:
            turn = self.turn(
                callee,
                skill,
                message,
                task_id=record.id,
                context_id=record.context_id,
                origin=origin,
                task=record.task,
                remote=record.remote,
                request=request,
            )
            work = partial(self._run, active, turn, Replacing(replaced), waited)
        self._active_tasks.hold(active)
        run = asyncio.create_task(self._root(active, work))
        active.run = run
        self._runs.add(run)
        # Not inside the asyncio task: if it is cancelled before its first step, none of its code runs.
        run.add_done_callback(partial(self._ended, active))

    async def stop(self, *, grace: float) -> None:
        if self._runs and grace > 0:
            await asyncio.wait(self._runs, timeout=grace)
        await cancel(*self._runs)

    def _ended(self, active: ActiveTask, run: asyncio.Task[None]) -> None:
        self._runs.discard(run)
        active.ended(run)
        self._active_tasks.drop(active)

    async def _root(self, active: ActiveTask, work: Callable[[], Awaitable[None]]) -> None:
        log_context.task(active.record.id)
        try:
            await work()
        except Exception as error:  # the outermost handler of this asyncio task
            self._active_tasks.observer.crashed()
            log.exception("task.crashed", agent=f"{active.record.namespace}/{active.record.agent}")
            reason = str(error) if isinstance(error, LambdaAgentError) else "an internal error; see its log"
            await self._active_tasks.abandon(active, f"The gateway failed: {reason}.")

    async def _run(self, active: ActiveTask, turn: Turn, replacing: Replacing, waited: Json | None) -> None:
        try:
            async with asyncio.timeout(turn.timeout + GRACE) as limit:
                going_on = await self._calling.call(active, turn, replacing, limit)
                if not going_on or active.record.state.settled:
                    return
                # After a 202 or similar the container continues, and an event at any replica settles the task.
                if await self._calling.write(active, [], limit, holder=""):
                    await self._active_tasks.settled(active, look_every=self._limits.look_every)
        except LIMITED as error:
            await self._calling.given_up(active, turn, error)
        except RefusedMessageError as error:
            active.refusal = refusal(error)
            await self._calling.refused(active, error, waited=waited)
