"""Messages become tasks, tasks become calls to containers, answers and events advance them.

A task belongs to the engine and not to the request that made it: the client may go away, the call goes on. Order is
always store first, then tell. Every call runs in a task of this engine's own that is cancelled and awaited at
shutdown; what did not end by then is failed in the store with the reason, and what a killed process left behind is
found by whoever lives (`tasks.holding`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid
from lambdaagent.a2a.params import Find, Get, Send
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import fold, new, shown, state_of, status_update, with_message
from lambdaagent.a2a.versions import Version
from lambdaagent.agents import answers
from lambdaagent.agents.callee import Callee, timeout
from lambdaagent.agents.calls import Caller, Turn
from lambdaagent.agents.clock import Clock
from lambdaagent.api.a2a import Skill
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.store.errors import ConflictError
from lambdaagent.store.records import TaskRecord, TaskStore
from lambdaagent.tasks import choosing, following, holding, listing
from lambdaagent.tasks.contract import Client, StreamEvent, TaskPage
from lambdaagent.tasks.errors import EngineBusyError, EngineStoppedError
from lambdaagent.tasks.live import Limits, Live, Outcome
from lambdaagent.tasks.pushing import Pusher

log = structlog.get_logger(__name__)

_ANYBODY = Client()
_GRACE = 1.0  # seconds that the container's own time-out may be late


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
        pusher: Pusher | None = None,
        replica: str = "",
    ) -> None:
        """`replica` tells this process from every other one over the same store, earlier ones included."""
        self._store = store
        self._caller = caller
        self._clock = clock
        self._observer = observer
        self._lookup = lookup
        self._limits = limits or Limits()
        self._pusher = pusher
        self._replica = replica or clock.new_id()
        self._slots = asyncio.Semaphore(self._limits.running)
        self._own_slots: dict[tuple[str, str], holding.Slots] = {}
        self._live: dict[str, Live] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._looks: set[asyncio.Task[None]] = set()
        self._open = False

    async def start(self) -> None:
        """Before the first message: what an earlier process left running is seen to."""
        self._store.on_change(self._changed_elsewhere)
        await self._store.beat(self._replica, seconds=self._limits.lease)
        await self.take_over()
        self._keepers = [
            asyncio.create_task(self._keep(self.tidy, every=self._limits.tidy_every), name="tasks-tidy"),
            asyncio.create_task(self._keep(self._beat, every=self._limits.beat_every), name="tasks-beat"),
        ]
        if self._pusher is not None:
            self._keepers.append(asyncio.create_task(self._pusher.run(), name="tasks-push"))
        self._open = True

    async def stop(self, *, grace: float = 10.0) -> None:
        """Gives calls under way so many seconds, then cancels them and fails their tasks."""
        self._open = False
        if self._runs and grace > 0:
            await asyncio.wait(self._runs, timeout=grace)
        for work in (*self._keepers, *self._runs, *self._looks):
            work.cancel()
        if self._keepers or self._runs or self._looks:
            await asyncio.wait([*self._keepers, *self._runs, *self._looks])
        for live in list(self._live.values()):
            if live.record.holder == self._replica and not live.record.state.settled:
                await self._abandon(live, "The gateway was stopped while the task was running.")

    # What clients ask for

    async def send(self, callee: Callee, request: Send, *, client: Client = _ANYBODY) -> Json:
        """The task, settled unless the client asked to return at once. Raises A2AError, TemporaryError."""
        async with self._sent(callee, request, client=client) as live:
            if not request.return_immediately:
                await live.settled()
            return shown(live.record.task, history_length=request.history_length)

    async def stream(
        self, callee: Callee, request: Send, *, client: Client = _ANYBODY
    ) -> AsyncGenerator[StreamEvent, None]:
        """The task, then what happens to it until it has ended or waits for its client (1.0 section 3.1.2)."""
        async with self._sent(callee, request, client=client) as live:
            async for event in self._follow(live, until_settled=True):
                yield event

    async def ask(self, callee: Callee, message: Json, *, client: Client = _ANYBODY) -> Json:
        """What comes of the message, as a task that nobody keeps."""
        skill = choosing.skill_of(callee, message)
        self._check(callee, skill, message)
        now = self._clock.now()
        task_id, context_id = self._clock.new_id(), self._clock.new_id()
        task = new(task_id=task_id, context_id=context_id, message=message, state=TaskState.WORKING, now=now)
        turn = self._turn(callee, skill, message, task_id=task_id, context_id=context_id, client=client)
        async with aclosing(self._caller.stream(turn)) as batches:
            async for updates in batches:
                for update in updates:
                    if "remote" not in update and not state_of(task).settled:
                        task = fold(task, update)
        return task

    async def get(self, callee: Callee, request: Get, *, client: Client = _ANYBODY) -> Json:
        record = await self._own(callee, request.id, client=client)
        return shown(record.task, history_length=request.history_length)

    async def find(self, callee: Callee, request: Find, *, client: Client = _ANYBODY) -> TaskPage:
        wanted = listing.listing(callee, request, owner=client.owner)
        return listing.page(await self._store.find(wanted), request)

    async def cancel(self, callee: Callee, task_id: str, *, client: Client = _ANYBODY) -> Json:
        """Reaches the container: the connection of the call is closed, on whatever replica it is."""
        await self._own(callee, task_id, client=client)
        async with self._holding(task_id) as live:
            if live is None:
                raise _no_such_task(task_id)
            update = status_update(TaskState.CANCELED, now=self._clock.now())
            if await self._apply(live, [update]) is Outcome.ENDED:
                state = str(live.record.state)
                raise A2AError(
                    Problem.TASK_NOT_CANCELABLE, f"Task {task_id} has ended already.", metadata={"state": state}
                )
            return live.record.task

    async def subscribe(
        self, callee: Callee, task_id: str, *, client: Client = _ANYBODY, last_event_id: str | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """The task as it is, then what happens to it until it has ended; with an id, what came after that event."""
        record = await self._own(callee, task_id, client=client)
        position = following.Position.parse(last_event_id)
        if position is None and record.state.terminal:
            raise A2AError(
                Problem.UNSUPPORTED_OPERATION, f"Task {task_id} has ended.", metadata={"state": str(record.state)}
            )
        async with self._holding(task_id) as live:
            if live is None:
                raise _no_such_task(task_id)
            async for event in self._follow(live, position=position, until_settled=False):
                yield event

    # Push notifications (1.0 section 3.1.7 to 3.1.10)

    async def put_push(
        self, callee: Callee, config: PushConfig, *, wire: Version, client: Client = _ANYBODY
    ) -> PushConfig:
        """Replaces one of the same id. Only what happens from now on is told."""
        record = await self._own(callee, config.task_id, client=client)
        return await self._pushes().put(record, config, wire=wire, sent=record.version)

    async def get_push(self, callee: Callee, task_id: str, push_id: str, *, client: Client = _ANYBODY) -> PushConfig:
        found = await self.list_push(callee, task_id, client=client)
        config = next((each for each in found if each.id == push_id), None)
        if config is None:
            message = f"Task {task_id} has no push notification configuration {push_id[:64]!r}."
            raise A2AError(Problem.TASK_NOT_FOUND, message, metadata={"taskId": task_id})
        return config

    async def list_push(self, callee: Callee, task_id: str, *, client: Client = _ANYBODY) -> list[PushConfig]:
        await self._own(callee, task_id, client=client)
        return await self._pushes().of(task_id)

    async def drop_push(self, callee: Callee, task_id: str, push_id: str, *, client: Client = _ANYBODY) -> None:
        await self._own(callee, task_id, client=client)
        await self._pushes().drop(task_id, push_id)

    def _pushes(self) -> Pusher:
        if self._pusher is None:
            raise A2AError(Problem.PUSH_NOT_SUPPORTED)
        return self._pusher

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

    # Messages

    @asynccontextmanager
    async def _sent(self, callee: Callee, request: Send, *, client: Client) -> AsyncIterator[Live]:
        if not self._open:
            raise EngineStoppedError("the gateway is stopping; send the message again")
        message = request.message
        if "taskId" in message:
            live = await self._continue(callee, request, client=client)
        else:
            live = await self._begin(callee, request, client=client)
        try:
            yield live
        finally:
            self._drop(live)

    async def _begin(self, callee: Callee, request: Send, *, client: Client) -> Live:
        """Holds what it returns."""
        message = request.message
        if request.push is not None:
            self._pushes().require(request.push)
        skill = choosing.skill_of(callee, message)
        self._check(callee, skill, message)
        slots = self._slots_of(callee)
        self._require_room(callee, slots)
        now = self._clock.now()
        task_id, context_id = self._clock.new_id(), message.get("contextId") or self._clock.new_id()
        waits = self._slots.locked() or (slots is not None and slots.free.locked())
        state = TaskState.SUBMITTED if waits else TaskState.WORKING
        record = TaskRecord(
            id=task_id,
            context_id=context_id,
            namespace=callee.namespace,
            agent=callee.name,
            skill=skill.id if skill is not None else None,
            owner=client.owner,
            version=0,
            state=state,
            created=now,
            updated=now,
            task=new(task_id=task_id, context_id=context_id, message=message, state=state, now=now),
            holder=self._replica,
            deadline=now + timeout(skill) + _GRACE,
        )
        live = Live(record)
        live.holders = 1
        self._live[task_id] = live
        try:
            known = await self._store.create(record, once=_once(callee, message, client))
            if known is None and request.push is not None:
                await self._pushes().put(record, request.push, wire=request.wire, sent=0)
        except BaseException:
            del self._live[task_id]
            raise
        if known is not None:
            del self._live[task_id]
            return await self._hold(known, client=client)
        self._dispatch(live, callee, skill, message, traceparent=client.traceparent)
        return live

    async def _hold(self, task_id: str, *, client: Client) -> Live:
        live = await self._find_live(task_id)
        if live is None or live.record.owner != client.owner:
            raise _no_such_task(task_id)
        live.holders += 1
        return live

    async def _continue(self, callee: Callee, request: Send, *, client: Client) -> Live:
        """The next turn of a task that waits for its client (1.0 section 3.4.3). Holds what it returns."""
        message = request.message
        task_id = message["taskId"]
        await self._own(callee, task_id, client=client)
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
                if request.push is not None:
                    await self._pushes().put(record, request.push, wire=request.wire, sent=record.version)
                await live.turn(
                    with_message(record.task, message, now=now),
                    updates=[{"message": message}, status_update(TaskState.WORKING, now=now)],
                    store=self._store,
                    now=now,
                    holder=self._replica,
                    deadline=now + timeout(skill) + _GRACE,
                )
            self._dispatch(live, callee, skill, message, traceparent=client.traceparent)
            live.holders += 1
            return live

    def _check(self, callee: Callee, skill: Skill | None, message: Json) -> None:
        choosing.require_built(callee, skill)
        choosing.require_modes(callee, skill, message)

    async def _own(self, callee: Callee, task_id: str, *, client: Client) -> TaskRecord:
        """Somebody else's task and another agent's are not found: their existence is nobody's business."""
        live = self._live.get(task_id)
        record = live.record if live is not None else await self._store.get(task_id)
        if (
            record is None
            or record.owner != client.owner
            or (record.namespace, record.agent) != (callee.namespace, callee.name)
        ):
            raise _no_such_task(task_id)
        return record

    async def _follow(
        self, live: Live, *, position: following.Position | None = None, until_settled: bool
    ) -> AsyncGenerator[StreamEvent, None]:
        if position is None:
            first = following.snapshot(live.record)
            yield first
            position = following.Position(int(first.id))
        followed = following.follow(
            live,
            store=self._store,
            position=position,
            look_every=self._limits.look_every,
            until_settled=until_settled,
        )
        async with aclosing(followed) as found:
            async for event in found:
                yield event

    # Runs

    def _slots_of(self, callee: Callee) -> holding.Slots | None:
        if callee.running is None:
            return None
        key = callee.namespace, callee.name
        slots = self._own_slots.get(key)
        if slots is None or slots.limit != callee.running:
            slots = self._own_slots[key] = holding.Slots(callee.running)
        return slots

    def _require_room(self, callee: Callee, slots: holding.Slots | None) -> None:
        if len(self._runs) >= self._limits.held:
            raise EngineBusyError(f"{self._limits.held} tasks are under way; send the message again later")
        if slots is not None and slots.held >= slots.limit + self._limits.waiting:
            raise EngineBusyError(
                f"{callee.key} works on {slots.limit} tasks and {self._limits.waiting} wait; send it again later"
            )

    def _dispatch(
        self, live: Live, callee: Callee, skill: Skill | None, message: Json, *, traceparent: str | None
    ) -> None:
        turn = replace(
            self._turn(
                callee,
                skill,
                message,
                task_id=live.record.id,
                context_id=live.record.context_id,
                client=Client(traceparent=traceparent),
            ),
            remote=live.record.remote,
        )
        self._live[live.record.id] = live
        live.holders += 1
        run = asyncio.create_task(self._run(live, turn))
        live.run = run
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    def _turn(
        self, callee: Callee, skill: Skill | None, message: Json, *, task_id: str, context_id: str, client: Client
    ) -> Turn:
        return Turn(
            callee=callee,
            skill=skill,
            message=message,
            task_id=task_id,
            context_id=context_id,
            timeout=timeout(skill),
            traceparent=client.traceparent,
        )

    async def _run(self, live: Live, turn: Turn) -> None:
        try:
            try:
                async with asyncio.timeout(turn.timeout + _GRACE):
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
            live.run = None
            self._drop(live)

    async def _work(self, live: Live, turn: Turn) -> None:
        async with holding.both(self._slots, self._slots_of(turn.callee)):
            if live.record.state is TaskState.SUBMITTED:
                await self._apply(live, [status_update(TaskState.WORKING, now=self._clock.now())])
            async with aclosing(self._caller.stream(turn)) as batches:
                async for updates in batches:
                    if updates:
                        await self._apply(live, updates)
                    if live.record.state.terminal:
                        return
        if not live.record.state.settled:
            # 202 and its like: the container goes on by itself, and an event will settle the task, wherever it arrives.
            await live.apply([], store=self._store, now=self._clock.now(), holder="")
            await live.settled()

    async def _abandon(self, live: Live, text: str) -> None:
        try:
            await self._apply(live, [answers.failed(text, clock=self._clock)])
        except Exception:  # the store failed, or had the task's end already; the next start sees to the rest
            log.exception("task.abandoned", task=live.record.id)

    async def _apply(self, live: Live, updates: list[Json]) -> Outcome:
        outcome = await live.apply(updates, store=self._store, now=self._clock.now())
        self._told(live, outcome)
        return outcome

    def _told(self, live: Live, outcome: Outcome) -> None:
        if outcome is not Outcome.ADVANCED:
            return
        if self._pusher is not None:
            self._pusher.wake()
        if live.record.state.settled:
            self._observer.settled(live.record.state)

    # Keeping

    async def tidy(self) -> int:
        before = self._clock.now() - self._limits.retention
        return await self._store.prune(before=before, keep=self._limits.kept)

    async def _beat(self) -> None:
        await self._store.beat(self._replica, seconds=self._limits.lease)
        await self.take_over()

    async def take_over(self) -> None:
        """What dead replicas held is failed or begun anew, and what nobody answered in time has failed."""
        if dead := [holder for holder in await self._store.dead() if holder != self._replica]:
            for record in await self._store.unsettled(holders=dead):
                await self._adopt(record)
        for record in await self._store.overdue(now=self._clock.now()):
            text = "No answer to the task came in time."
            await self._settle(record, answers.failed(text, clock=self._clock))

    async def _adopt(self, record: TaskRecord) -> None:
        """One of the replicas that see it does: each writes the next version, and one write succeeds."""
        callee = self._lookup(record.namespace, record.agent)
        skill = callee.skills.get(record.skill) if callee is not None and record.skill is not None else None
        message, now = holding.last_of_client(record), self._clock.now()
        if callee is None and now < record.deadline:
            return  # not known here yet
        idempotent = skill is not None and skill.invoke is not None and skill.invoke.idempotent
        log.info("task.orphaned", task=record.id, agent=f"{record.namespace}/{record.agent}", again=idempotent)
        if callee is None or not idempotent or message is None:
            text = "The gateway was restarted while the task was running."
            await self._settle(record, answers.failed(text, clock=self._clock))
            return
        mine = replace(
            record,
            version=record.version + 1,
            holder=self._replica,
            updated=now,
            deadline=now + timeout(skill) + _GRACE,
        )
        try:
            await self._store.append(mine, updates=[])
        except ConflictError:
            return
        self._dispatch(Live(mine), callee, skill, message, traceparent=None)

    async def _settle(self, record: TaskRecord, update: Json) -> None:
        live = self._live.get(record.id) or Live(record)
        try:
            self._told(live, await live.apply([update], store=self._store, now=self._clock.now()))
        except ConflictError:
            log.info("task.pruned", task=record.id)

    async def _keep(self, work: Callable[[], Awaitable[object]], *, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await work()
            except Exception:  # the root of this task
                self._observer.crashed()
                log.exception("tasks.keeping_failed")

    def _changed_elsewhere(self, task_id: str) -> None:
        live = self._live.get(task_id)
        if live is not None and self._open:
            look = asyncio.ensure_future(live.refresh(self._store))
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

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
            self._told(live, outcome)
            return outcome

    @asynccontextmanager
    async def _holding(self, task_id: str) -> AsyncIterator[Live | None]:
        """One Live per task and process, however many want it at once."""
        live = await self._find_live(task_id)
        if live is None:
            yield None
            return
        live.holders += 1
        try:
            yield live
        finally:
            self._drop(live)

    async def _find_live(self, task_id: str) -> Live | None:
        live = self._live.get(task_id)
        if live is None:
            record = await self._store.get(task_id)
            live = self._live.get(task_id)  # Somebody else may have been faster.
            if live is None and record is not None:
                live = self._live[task_id] = Live(record)
        return live

    def _drop(self, live: Live) -> None:
        live.holders -= 1
        # A run that was cancelled leaves its task unsettled, for `stop` to fail.
        if not live.holders and (live.record.state.settled or self._open):
            self._live.pop(live.record.id, None)


def _once(callee: Callee, message: Json, client: Client) -> str | None:
    """The client's own key for the request, else its message's id where the agent says that this is one."""
    if client.once is not None:
        return f"key {client.once}"
    return f"message {message['messageId']}" if callee.once_by_message else None


def _no_such_task(task_id: str) -> A2AError:
    return A2AError(Problem.TASK_NOT_FOUND, f"There is no task {task_id[:64]!r}.", metadata={"taskId": task_id[:64]})
