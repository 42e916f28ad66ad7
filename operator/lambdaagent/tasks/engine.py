"""The operations of the task engine: they create tasks from messages, call containers, and advance tasks.

A task belongs to the engine and not to the request that created it: the call continues if the client disconnects. A
change is always stored before it is reported. `active_tasks` holds what this process works on, the `runner` runs the
calls, and `recovery` finds the tasks that a killed process left behind.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import aclosing, asynccontextmanager, suppress

import structlog

from lambdaagent import log_context
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem, not_found
from lambdaagent.a2a.params import Find, Get, Send
from lambdaagent.a2a.push import PushConfig
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import answer, shown, status_update
from lambdaagent.a2a.versions import Version
from lambdaagent.api.skills import Skill
from lambdaagent.cancellation import cancel
from lambdaagent.clock import Clock
from lambdaagent.containers import context_ids, responses
from lambdaagent.containers.call import Caller
from lambdaagent.containers.callee import Callee
from lambdaagent.events.cloudevents import Event
from lambdaagent.httpclient.errors import RefusedMessageError
from lambdaagent.store.errors import TaskConflictError, UnfitError
from lambdaagent.store.records import DeadLetterStore, TaskRecord, TaskStore
from lambdaagent.tasks import listing, subscription
from lambdaagent.tasks.active_task import ActiveTask, EventOutcome
from lambdaagent.tasks.concurrency import CallLimiter
from lambdaagent.tasks.container_calls import ContainerCalls, SharedContext
from lambdaagent.tasks.direct_calls import DirectCalls
from lambdaagent.tasks.errors import EngineStoppedError, refusal
from lambdaagent.tasks.event_calls import EventCalls
from lambdaagent.tasks.event_calls import Send as SendCall
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.messages import Messages, may_be_message, no_such_task
from lambdaagent.tasks.push_delivery import PushDelivery
from lambdaagent.tasks.quotas import Quotas
from lambdaagent.tasks.recovery import Recovery
from lambdaagent.tasks.registry import ActiveTasks, TaskObserver
from lambdaagent.tasks.requests import NOTHING_YET, Requester, StreamEvent, TaskPage
from lambdaagent.tasks.runner import CallRunner
from lambdaagent.tasks.unstored_calls import UnstoredCalls

log = structlog.get_logger(__name__)

_NOTES = 8  # attempts to write onto the newest version
_ANYBODY = Requester()


class Engine:
    def __init__(
        self,
        *,
        store: TaskStore,
        caller: Caller,
        clock: Clock,
        observer: TaskObserver,
        lookup: Callable[[str, str], Callee | None],
        limits: EngineLimits | None = None,
        pusher: PushDelivery | None = None,
        replica: str = "",
        send: SendCall | None = None,
        on_state_change: Callable[[TaskRecord], None] | None = None,
        canceled: Callable[[TaskRecord], None] | None = None,
        letters: DeadLetterStore | None = None,
        shared_context: SharedContext | None = None,
    ) -> None:
        """`replica` distinguishes this process from every other one that uses the store, earlier ones included.

        `send` publishes a call to the broker; without it, skills of mode async are called like the others. `canceled`
        is called with each task that a client canceled and whose container is not an A2A server. Old `letters` are
        deleted. `shared_context` is for skills that ask for it.
        """
        self._canceled = canceled
        self._store = store
        self._caller = caller
        self._clock = clock
        self._observer = observer
        self._lookup = lookup
        self._limits = limits or EngineLimits()
        self._pusher = pusher
        self._replica = replica or clock.new_id()
        self._active_tasks = ActiveTasks(
            store=store,
            clock=clock,
            observer=observer,
            pusher=pusher,
            on_state_change=on_state_change,
            largest=self._limits.largest,
        )
        limiter = CallLimiter(self._limits)
        calling = ContainerCalls(
            active_tasks=self._active_tasks,
            caller=caller,
            limiter=limiter,
            replica=self._replica,
            shared_context=shared_context,
        )
        self._event_calls: EventCalls | None = None
        if send is not None:
            self._event_calls = EventCalls(
                active_tasks=self._active_tasks, calling=calling, send=send, limits=self._limits, replica=self._replica
            )
        self._runner = CallRunner(
            active_tasks=self._active_tasks,
            calling=calling,
            limits=self._limits,
            limiter=limiter,
            event_calls=self._event_calls,
        )
        self._recovery = Recovery(
            active_tasks=self._active_tasks,
            runner=self._runner,
            lookup=lookup,
            limits=self._limits,
            replica=self._replica,
            letters=letters,
        )
        self.quotas = Quotas(store)
        self._messages = Messages(
            active_tasks=self._active_tasks,
            runner=self._runner,
            limits=self._limits,
            pusher=pusher,
            replica=self._replica,
            quotas=self.quotas,
            begins_submitted=lambda skill: self._event_calls is not None and skill is not None and skill.is_async,
        )
        self.unstored_calls = UnstoredCalls(
            runner=self._runner, caller=caller, clock=clock, largest=self._limits.largest
        )
        self.direct_calls = DirectCalls(active_tasks=self._active_tasks, limits=self._limits)
        self._pushing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the loops and recover tasks that an earlier process left; call it before the first message."""
        self._store.on_change(self._active_tasks.changed_elsewhere, missed=self._recovery.missed)
        await self._recovery.start()
        if self._pusher is not None:
            self._pushing = asyncio.create_task(self._pusher.run(), name="tasks-push")
        self._active_tasks.open = True

    async def stop(self, *, grace: float = 10.0) -> None:
        """Wait up to `grace` seconds for running calls, then cancel them and fail their tasks."""
        self._active_tasks.open, self._active_tasks.stopping = False, True
        await self._recovery.stop()
        await self._runner.stop(grace=grace)
        if self._event_calls is not None:
            await self._event_calls.stop(grace=grace)
        await self._active_tasks.stop()
        for active in self._active_tasks.all():
            if active.record.holder == self._replica and not active.record.state.settled:
                stopped = "The gateway was stopped while the task was running."
                await self._active_tasks.abandon(active, stopped, patience=min(grace, self._limits.patience))
        await self._recovery.end_signs()
        if self._pushing is not None:
            await cancel(self._pushing)

    # Operations of clients

    async def send(self, callee: Callee, request: Send, *, client: Requester = _ANYBODY) -> Json:
        """Return the task, settled unless the client asked to return at once. Raises A2AError, TemporaryError."""
        async with self._sent(callee, request, client=client) as active:
            if not request.return_immediately:
                await self._active_tasks.settled(active, look_every=self._limits.look_every)
                if active.refusal is not None:
                    raise active.refusal
            return shown(active.record.task, history_length=request.history_length)

    async def send_within(
        self,
        callee: Callee,
        request: Send,
        seconds: float,
        *,
        begun: Callable[[Json], None],
        client: Requester = _ANYBODY,
    ) -> tuple[TaskRecord, list[StreamEvent]]:
        """Return the task when it has settled, or else after these seconds, with its events until then.

        `begun` is called with the task as soon as it is stored. Most tasks settle soon, and waiting for one costs less
        than following it. Raises A2AError, TemporaryError.
        """
        async with self._sent(callee, request, client=client) as active:
            first = active.record.version
            begun(active.record.task)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._active_tasks.settled(active, look_every=self._limits.look_every)
            if active.refusal is not None and not request.as_task:
                raise active.refusal
            record = active.record
            changes = active.since(first) or ()
            return record, [event for change in changes for event in subscription.events(record, change)]

    async def stream(
        self, callee: Callee, request: Send, *, client: Requester = _ANYBODY
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the task, then its events until it has ended or waits for its client (1.0 section 3.1.2).

        A container that is an A2A server may answer with one Message instead, and an MCP server may refuse the call, so
        the first update is awaited.
        """
        async with self._sent(callee, request, client=client) as active:
            begun = subscription.snapshot(active.record)
            if callee.protocol in ("a2a", "mcp") and not request.as_task:
                yield NOTHING_YET
                await active.beyond(active.record.version, within=self._limits.first_word)
                if active.refusal is not None:
                    raise active.refusal
                outcome = answer(active.record.task)
                if "message" in outcome and may_be_message(request):
                    yield StreamEvent(str(active.record.version), outcome)
                    return
            async for event in self._follow(active, first=begun, until_settled=True):
                yield event

    async def get(self, callee: Callee, request: Get, *, client: Requester = _ANYBODY) -> Json:
        record = await self._own(callee, request.id, client=client)
        return shown(record.task, history_length=request.history_length)

    async def agent_of(self, task_id: str) -> tuple[str, str] | None:
        """Return the namespace and name of the task's agent, whoever owns the task; None if there is no such task."""
        active = self._active_tasks.known(task_id)
        record = active.record if active is not None else await self._store.get(task_id)
        return (record.namespace, record.agent) if record is not None else None

    async def read(self, callee: Callee, task_id: str, *, client: Requester = _ANYBODY) -> TaskRecord:
        return await self._own(callee, task_id, client=client)

    async def note(self, callee: Callee, task_id: str, metadata: Json, *, client: Requester = _ANYBODY) -> None:
        """Add to the metadata of a task that waits for its client. Nothing happens if it waits no longer."""
        async with self._own_live(callee, task_id, client=client) as active:
            for _ in range(_NOTES):
                record = active.record
                if not record.state.settled or record.state.terminal:
                    return
                message = record.task["status"].get("message")
                update = status_update(record.state, now=self._clock.now(), message=message, metadata=metadata)
                outcome = await self._active_tasks.apply(
                    active, [update], at=record.version, patience=self._limits.patience
                )
                if outcome is not EventOutcome.TAKEN:
                    return
        raise TaskConflictError(f"task {task_id} changes too fast; send the answer again")

    @property
    def kept(self) -> float:
        """For how many seconds an ended task is kept."""
        return self._limits.retention

    def running(self, agents: Collection[tuple[str, str]]) -> Counter[tuple[str, str]]:
        """Return how many tasks this process works on for each of the agents."""
        records = (active.record for active in self._active_tasks.all())
        keys = ((record.namespace, record.agent) for record in records if not record.state.settled)
        return Counter(key for key in keys if key in agents)

    async def find(self, callee: Callee, request: Find, *, client: Requester = _ANYBODY) -> TaskPage:
        wanted = listing.listing(callee, request, owner=None if client.all_tasks else client.owner)
        return listing.page(await self._store.find(wanted), request)

    async def cancel(self, callee: Callee, task_id: str, *, client: Requester = _ANYBODY) -> Json:
        """Cancel the task and close the connection of its call, whichever replica runs it.

        A container that is an A2A server is asked first; its refusal is raised as A2AError.
        """
        async with self._own_live(callee, task_id, client=client) as active:
            if callee.protocol == "a2a" and active.record.remote and not active.record.state.terminal:
                try:
                    context_id = context_ids.of_container(active.record.context_id, owner=active.record.owner)
                    await self._caller.cancel(callee, active.record.remote, context_id=context_id, origin=client.origin)
                except RefusedMessageError as error:
                    raise refusal(error, otherwise=Problem.TASK_NOT_CANCELABLE) from error
                if active.record.state is TaskState.CANCELED:
                    return active.record.task  # the container's own update arrived first
            update = status_update(TaskState.CANCELED, now=self._clock.now())
            if await self._active_tasks.apply(active, [update], patience=self._limits.patience) is EventOutcome.ENDED:
                state = str(active.record.state)
                raise A2AError(
                    Problem.TASK_NOT_CANCELABLE, f"Task {task_id} has ended already.", metadata={"state": state}
                )
            if self._canceled is not None and callee.protocol != "a2a":
                self._canceled(active.record)
            return active.record.task

    async def subscribe(
        self, callee: Callee, task_id: str, *, client: Requester = _ANYBODY, last_event_id: str | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield the task, then its events until it has ended; with `last_event_id`, only the events after that one."""
        position = subscription.Position.parse(last_event_id)
        async with self._own_live(callee, task_id, client=client) as active:
            if position is None and active.record.state.terminal:
                state = str(active.record.state)
                raise A2AError(Problem.UNSUPPORTED_OPERATION, f"Task {task_id} has ended.", metadata={"state": state})
            if position is not None and position.version >= active.record.version:
                await active.refresh(self._store)
                subscription.require_reached(position, active.record)
                if position.version == active.record.version and not active.record.state.terminal:
                    yield NOTHING_YET
            async for event in self._follow(active, position=position, until_settled=False):
                yield event

    # Push notifications (1.0 section 3.1.7 to 3.1.10)

    async def put_push(
        self, callee: Callee, config: PushConfig, *, wire: Version, client: Requester = _ANYBODY
    ) -> PushConfig:
        """Store the configuration, replacing one of the same id. The receiver gets only changes from now on."""
        record = await self._own(callee, config.task_id, client=client)
        return await self._pushes().put(record, config, wire=wire, sent=record.version, registrant=client.registrant())

    async def get_push(self, callee: Callee, task_id: str, push_id: str, *, client: Requester = _ANYBODY) -> PushConfig:
        await self._own(callee, task_id, client=client)
        config = await self._pushes().get(task_id, push_id)
        if config is None:
            raise not_found(f"task {task_id} has no push notification configuration {push_id[:64]!r}.", task_id=task_id)
        return config

    async def list_push(self, callee: Callee, task_id: str, *, client: Requester = _ANYBODY) -> list[PushConfig]:
        await self._own(callee, task_id, client=client)
        return await self._pushes().of(task_id)

    async def drop_push(self, callee: Callee, task_id: str, push_id: str, *, client: Requester = _ANYBODY) -> None:
        await self._own(callee, task_id, client=client)
        await self._pushes().drop(task_id, push_id)

    # Events from agents

    async def advance(self, event: Event, *, namespace: str, agent: str) -> EventOutcome | None:
        """Apply an event from an agent to the task that it names; None if it names no task.

        Raises StoreError; the sender must then send the event again.
        """
        task_id = event.extensions.get("a2ataskid")
        if not isinstance(task_id, str) or not task_id:
            return None
        sender = (namespace, agent)
        with log_context.one_task(task_id):
            if await self._active_tasks.find(task_id) is None:
                await self.direct_calls.appeared(task_id, sender=sender)
            async with self._active_tasks.holding(task_id) as active:
                outcome = EventOutcome.UNKNOWN if active is None else await self._advance(active, event, sender=sender)
            self._observer.event(outcome)
            if outcome is not EventOutcome.ADVANCED:
                log.info("task.event_dropped", event_id=event.id, agent=f"{namespace}/{agent}", outcome=outcome)
        return outcome

    async def take(self, event: Event, *, callee: Callee, skill: Skill) -> EventOutcome:
        """Call the container for a call that was delivered as an event, and store the result in its task.

        Raises TemporaryError if the event must be delivered again.
        """
        if self._event_calls is None or not (self._active_tasks.open and self._recovery.begun):
            raise EngineStoppedError("the gateway cannot accept calls now")
        outcome = await self._event_calls.take(event, callee, skill)
        if outcome is not EventOutcome.ADVANCED:
            self._observer.event(outcome)
            log.info("task.call_dropped", event_id=event.id, agent=callee.key, outcome=outcome)
        return outcome

    async def _advance(self, active: ActiveTask, event: Event, *, sender: tuple[str, str]) -> EventOutcome:
        record = active.record
        callee = self._lookup(record.namespace, record.agent)
        forwards = callee.forwards if callee is not None else frozenset()
        if sender != (record.namespace, record.agent) and sender not in forwards:
            return EventOutcome.FOREIGN
        skill = callee.skills.get(record.skill) if callee is not None and record.skill is not None else None
        reply_type = skill.invocation.reply_type if skill is not None else None
        updates = responses.from_event(event, clock=self._clock, reply_type=reply_type)
        try:
            return await self._active_tasks.apply(active, updates, key=(event.source, event.id))
        except TaskConflictError:
            return EventOutcome.UNKNOWN  # The task was pruned meanwhile.
        except UnfitError as error:
            # Another delivery would fail too, and nothing else would end the task.
            return await self._active_tasks.fail(
                active, f"The event {event.id!r} cannot be stored: {error}.", patience=0.0
            )

    # Messages

    @asynccontextmanager
    async def _sent(self, callee: Callee, request: Send, *, client: Requester) -> AsyncIterator[ActiveTask]:
        if not self._active_tasks.open:
            raise EngineStoppedError("the gateway is stopping; send the message again")
        if not self._recovery.begun:
            raise EngineStoppedError("the gateway cannot reach its store yet; send the message again")
        if "taskId" in request.message:
            async with self._own_live(callee, request.message["taskId"], client=client) as active:
                await self._messages.follow_up(active, callee, request, client=client)
                yield active
            return
        active = await self._messages.first(callee, request, client=client)
        try:
            yield active
        finally:
            self._active_tasks.drop(active)

    async def _own(self, callee: Callee, task_id: str, *, client: Requester) -> TaskRecord:
        """Return the task if it belongs to this client and agent.

        Other tasks are reported as not found, so that their existence is not revealed.
        """
        active = self._active_tasks.known(task_id)
        record = active.record if active is not None else await self._store.get(task_id)
        if (
            record is None
            or (record.owner != client.owner and not client.all_tasks)
            or (record.namespace, record.agent) != (callee.namespace, callee.name)
        ):
            raise no_such_task(task_id)
        log_context.task(task_id)
        return record

    @asynccontextmanager
    async def _own_live(self, callee: Callee, task_id: str, *, client: Requester) -> AsyncIterator[ActiveTask]:
        await self._own(callee, task_id, client=client)
        async with self._active_tasks.holding(task_id) as active:
            if active is None:
                raise no_such_task(task_id)
            yield active

    async def _follow(
        self,
        active: ActiveTask,
        *,
        first: StreamEvent | None = None,
        position: subscription.Position | None = None,
        until_settled: bool,
    ) -> AsyncGenerator[StreamEvent, None]:
        """Yield events after `position`; without one, first a snapshot: `first`, or one of the current record."""
        if position is None:
            first = first or subscription.snapshot(active.record)
            yield first
            position = subscription.Position(int(first.id))
        followed = subscription.follow(
            active,
            store=self._store,
            position=position,
            look_every=self._limits.look_every,
            until_settled=until_settled,
        )
        async with aclosing(followed) as found:
            async for event in found:
                yield event

    def _pushes(self) -> PushDelivery:
        if self._pusher is None:
            raise A2AError(Problem.PUSH_NOT_SUPPORTED)
        return self._pusher
