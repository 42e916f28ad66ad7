"""Messages become tasks, tasks become calls to containers, answers and events advance them.

A task belongs to the engine and not to the request that made it: the client may go away, the call goes on. Order is
always store first, then tell. Every call runs in a task of this engine's own that is cancelled and awaited at
shutdown; what did not end by then is failed in the store with the reason, and so is, at the next start, what a killed
process left behind.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid
from lambdaagent.a2a.params import Get, Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import new, shown, status_update, with_message
from lambdaagent.agents import answers
from lambdaagent.agents.callee import Callee, timeout
from lambdaagent.agents.calls import Caller, Turn
from lambdaagent.agents.clock import Clock
from lambdaagent.api.a2a import Skill
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.store.errors import ConflictError
from lambdaagent.store.records import ANONYMOUS, TaskRecord, TaskStore
from lambdaagent.tasks import choosing
from lambdaagent.tasks.errors import EngineBusyError, EngineStoppedError
from lambdaagent.tasks.live import Limits, Live, Outcome

log = structlog.get_logger(__name__)


class Observer(Protocol):
    """What the engine tells the metrics."""

    def settled(self, state: TaskState) -> None: ...
    def event(self, outcome: Outcome) -> None: ...
    def crashed(self) -> None: ...


class Engine:
    def __init__(
        self,
        *,
        store: TaskStore,
        caller: Caller,
        clock: Clock,
        observer: Observer,
        lookup: Callable[[str, str], Callee | None],
        limits: Limits | None = None,
    ) -> None:
        self._store = store
        self._caller = caller
        self._clock = clock
        self._observer = observer
        self._lookup = lookup
        self._limits = limits or Limits()
        self._slots = asyncio.Semaphore(self._limits.running)
        self._live: dict[str, Live] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._open = False

    async def start(self) -> None:
        """Before the first message: what an earlier process left running has failed."""
        for record in await self._store.unsettled():
            update = answers.failed("The gateway was restarted while the task was running.", clock=self._clock)
            await Live(record).apply([update], store=self._store, now=self._clock.now())
            self._observer.settled(TaskState.FAILED)
            log.info("task.orphaned", task=record.id, agent=f"{record.namespace}/{record.agent}")
        self._keeper = asyncio.create_task(self._keep(), name="tasks-keeper")
        self._open = True

    async def stop(self, *, grace: float = 10.0) -> None:
        """Gives calls under way so many seconds, then cancels them and fails their tasks."""
        self._open = False
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self._runs and grace > 0:
            await asyncio.wait(self._runs, timeout=grace)
        for run in self._runs:
            run.cancel()
        if self._runs:
            await asyncio.wait(self._runs)
        for live in list(self._live.values()):
            if not live.record.state.settled:
                await self._abandon(live, "The gateway was stopped while the task was running.")

    async def send(
        self, callee: Callee, request: Send, *, owner: str = ANONYMOUS, traceparent: str | None = None
    ) -> Json:
        """The task, settled unless the client asked to return at once. Raises A2AError, TemporaryError."""
        if not self._open:
            raise EngineStoppedError("the gateway is stopping; send the message again")
        message = request.message
        if "taskId" in message:
            live = await self._continue(callee, message, owner=owner, traceparent=traceparent)
        else:
            live = await self._begin(callee, message, owner=owner, traceparent=traceparent)
        if not request.return_immediately:
            await live.settled()
        return shown(live.record.task, history_length=request.history_length)

    async def get(self, callee: Callee, request: Get, *, owner: str = ANONYMOUS) -> Json:
        record = await self._own(callee, request.id, owner=owner)
        return shown(record.task, history_length=request.history_length)

    async def advance(self, event: Event, *, namespace: str, agent: str) -> Outcome | None:
        """An event from an agent, as far as it belongs to a task; None where it says nothing of one.

        Raises StoreError: then the sender must send it again.
        """
        task_id = event.extensions.get("a2ataskid")
        if not isinstance(task_id, str) or not task_id:
            return None
        outcome = await self._advance(event, task_id, sender=(namespace, agent))
        self._observer.event(outcome)
        if outcome is not Outcome.ADVANCED:
            log.info(
                "task.event_dropped", task=task_id, event_id=event.id, agent=f"{namespace}/{agent}", outcome=outcome
            )
        return outcome

    async def tidy(self) -> int:
        return await self._store.prune(before=self._clock.now() - self._limits.retention)

    # Messages

    async def _begin(self, callee: Callee, message: Json, *, owner: str, traceparent: str | None) -> Live:
        skill = choosing.skill_of(callee, message)
        self._check(callee, skill, message)
        if len(self._runs) >= self._limits.held:
            raise EngineBusyError(f"{self._limits.held} tasks are under way; send the message again later")
        now = self._clock.now()
        task_id, context_id = self._clock.new_id(), message.get("contextId") or self._clock.new_id()
        state = TaskState.SUBMITTED if self._slots.locked() else TaskState.WORKING
        record = TaskRecord(
            id=task_id,
            context_id=context_id,
            namespace=callee.namespace,
            agent=callee.name,
            skill=skill.id if skill is not None else None,
            owner=owner,
            version=0,
            state=state,
            created=now,
            updated=now,
            task=new(task_id=task_id, context_id=context_id, message=message, state=state, now=now),
        )
        live = Live(record)
        self._live[task_id] = live
        try:
            await self._store.create(record)
        except BaseException:
            del self._live[task_id]
            raise
        self._dispatch(live, callee, skill, message, traceparent=traceparent)
        return live

    async def _continue(self, callee: Callee, message: Json, *, owner: str, traceparent: str | None) -> Live:
        """The next turn of a task that waits for its client (1.0 section 3.4.3)."""
        task_id = message["taskId"]
        await self._own(callee, task_id, owner=owner)
        async with self._holding(task_id) as live:
            if live is None:
                raise _no_such_task(task_id)
            async with live.turning:
                record = live.record
                if message.get("contextId") not in (None, record.context_id):
                    raise invalid(Violation("message.contextId", f"task {task_id} belongs to another context"))
                if not record.state.settled or record.state.terminal:
                    what = "has ended" if record.state.terminal else "is working and takes no messages meanwhile"
                    raise A2AError(
                        Problem.UNSUPPORTED_OPERATION, f"Task {task_id} {what}.", metadata={"state": str(record.state)}
                    )
                skill = choosing.skill_of(callee, message, default=record.skill)
                self._check(callee, skill, message)
                now = self._clock.now()
                task = with_message(record.task, message, now=now)
                await live.turn(task, message=message, store=self._store, now=now)
            self._dispatch(live, callee, skill, message, traceparent=traceparent)
            return live

    def _check(self, callee: Callee, skill: Skill | None, message: Json) -> None:
        choosing.require_built(callee, skill)
        choosing.require_modes(callee, skill, message)

    async def _own(self, callee: Callee, task_id: str, *, owner: str) -> TaskRecord:
        """Somebody else's task and another agent's are not found: their existence is nobody's business."""
        live = self._live.get(task_id)
        record = live.record if live is not None else await self._store.get(task_id)
        if (
            record is None
            or record.owner != owner
            or (record.namespace, record.agent) != (callee.namespace, callee.name)
        ):
            raise _no_such_task(task_id)
        return record

    # Runs

    def _dispatch(
        self, live: Live, callee: Callee, skill: Skill | None, message: Json, *, traceparent: str | None
    ) -> None:
        turn = Turn(
            callee=callee,
            skill=skill,
            message=message,
            task_id=live.record.id,
            context_id=live.record.context_id,
            timeout=timeout(skill),
            traceparent=traceparent,
        )
        self._live[live.record.id] = live
        live.holders += 1
        run = asyncio.create_task(self._run(live, turn))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def _run(self, live: Live, turn: Turn) -> None:
        try:
            try:
                async with asyncio.timeout(turn.timeout + 1.0):
                    await self._work(live, turn)
            except TimeoutError:
                text = f"The agent did not finish the task in {turn.timeout:g} s."
                await self._apply(live, [answers.failed(text, clock=self._clock)])
        except Exception as error:  # the root of this task
            self._observer.crashed()
            log.exception("task.crashed", task=live.record.id, agent=turn.callee.key)
            reason = str(error) if isinstance(error, LambdaAgentError) else "an internal error; its log says more"
            await self._abandon(live, f"The gateway failed: {reason}.")
        finally:
            self._drop(live)

    async def _work(self, live: Live, turn: Turn) -> None:
        async with self._slots:
            if live.record.state is TaskState.SUBMITTED:
                await self._apply(live, [status_update(TaskState.WORKING, now=self._clock.now())])
            updates = await self._caller.call(turn)
            if updates:
                await self._apply(live, updates)
        # 202 and its like: the task goes on, and events settle it.
        await live.settled()

    async def _abandon(self, live: Live, text: str) -> None:
        try:
            await self._apply(live, [answers.failed(text, clock=self._clock)])
        except Exception:  # the store failed, or had the task's end already; the next start sees to the rest
            log.exception("task.abandoned", task=live.record.id)

    async def _apply(self, live: Live, updates: list[Json]) -> Outcome:
        outcome = await live.apply(updates, store=self._store, now=self._clock.now())
        if outcome is Outcome.ADVANCED and live.record.state.settled:
            self._observer.settled(live.record.state)
        return outcome

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tidy_every)
            try:
                await self.tidy()
            except Exception:  # the root of this task
                self._observer.crashed()
                log.exception("tasks.tidy_failed")

    # Events

    async def _advance(self, event: Event, task_id: str, *, sender: tuple[str, str]) -> Outcome:
        async with self._holding(task_id) as live:
            if live is None:
                return Outcome.UNKNOWN
            record = live.record
            callee = self._lookup(record.namespace, record.agent)
            forwards = callee.forwards if callee is not None else frozenset()
            if sender != (record.namespace, record.agent) and sender not in forwards:
                return Outcome.FOREIGN
            skill = callee.skills.get(record.skill) if callee is not None and record.skill is not None else None
            reply_type = skill.invoke.reply_type if skill is not None and skill.invoke is not None else None
            updates = answers.from_event(event, clock=self._clock, reply_type=reply_type)
            try:
                outcome = await live.apply(
                    updates, store=self._store, now=self._clock.now(), key=(event.source, event.id)
                )
            except ConflictError:
                return Outcome.UNKNOWN  # Pruned under our hands.
            if outcome is Outcome.ADVANCED and live.record.state.settled:
                self._observer.settled(live.record.state)
            return outcome

    @asynccontextmanager
    async def _holding(self, task_id: str) -> AsyncIterator[Live | None]:
        """One Live per task and process, however many want it at once."""
        live = self._live.get(task_id)
        if live is None:
            record = await self._store.get(task_id)
            live = self._live.get(task_id)  # Somebody else may have been faster.
            if live is None:
                if record is None:
                    yield None
                    return
                live = self._live[task_id] = Live(record)
        live.holders += 1
        try:
            yield live
        finally:
            self._drop(live)

    def _drop(self, live: Live) -> None:
        live.holders -= 1
        # A run that was cancelled leaves its task unsettled, for `stop` to fail.
        if not live.holders and (live.record.state.settled or self._open):
            self._live.pop(live.record.id, None)


def _no_such_task(task_id: str) -> A2AError:
    return A2AError(Problem.TASK_NOT_FOUND, f"There is no task {task_id[:64]!r}.", metadata={"taskId": task_id[:64]})
