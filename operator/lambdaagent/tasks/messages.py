"""Messages of clients: a first message creates a task, a follow-up continues a task that waits for its client.

Invariant: a message that the store has is worked on, and once per idempotency key. A request waits a short time for an
unreachable store; if it gives up, or its client disconnects, it is unknown whether the message was stored. Such
messages are noted in `active_tasks`, and recovery starts those that the store turns out to have.
"""

from collections.abc import Callable
from dataclasses import replace
from uuid import NAMESPACE_URL, uuid5

from lambdaagent import log_context
from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import A2AError, Problem, Violation, invalid, not_found
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import TaskState
from lambdaagent.a2a.tasks import new, status_update, with_message
from lambdaagent.api.skills import Skill
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.store.errors import TaskConflictError, UnfitError
from lambdaagent.store.records import Push, TaskRecord
from lambdaagent.tasks import skill_selection
from lambdaagent.tasks.active_task import ActiveTask, following
from lambdaagent.tasks.container_calls import GRACE
from lambdaagent.tasks.errors import EngineBusyError
from lambdaagent.tasks.limits import EngineLimits
from lambdaagent.tasks.push_delivery import PushDelivery
from lambdaagent.tasks.quotas import Quotas
from lambdaagent.tasks.registry import ActiveTasks
from lambdaagent.tasks.requests import Requester
from lambdaagent.tasks.runner import CallRunner
from lambdaagent.tasks.storing import until_written

_CONFLICTS = 8


class Messages:
    def __init__(
        self,
        *,
        active_tasks: ActiveTasks,
        runner: CallRunner,
        limits: EngineLimits,
        pusher: PushDelivery | None,
        replica: str,
        quotas: Quotas,
        begins_submitted: Callable[[Skill | None], bool],
    ) -> None:
        """`begins_submitted`: whether calls of a skill are events, so that its task waits for the event's delivery."""
        self._active_tasks = active_tasks
        self._runner = runner
        self._limits = limits
        self._pusher = pusher
        self._replica = replica
        self._quotas = quotas
        self._begins_submitted = begins_submitted

    async def first(self, callee: Callee, request: Send, *, client: Requester) -> ActiveTask:
        """Return the message's task, held; the caller drops it. Raises A2AError, TemporaryError."""
        message, clock = request.message, self._active_tasks.clock
        skill = checked_skill(callee, message, client)
        state, now = self._runner.require_room(callee), clock.now()
        if self._begins_submitted(skill):
            state = TaskState.SUBMITTED
        task_id, context_id = clock.new_id(), message.get("contextId") or clock.new_id()
        log_context.task(task_id)
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
            deadline=now + timeout(skill) + GRACE,
        )
        push = self._push(record, request, sent=0, client=client)
        active = self._active_tasks.new(record)
        active.starting += 1
        self._active_tasks.hold(active)
        try:
            async with self._quotas.room(callee, client.owner):
                known = await self._create(record, push, idempotency_key=_idempotency_key(callee, message, client))
        except UnfitError as error:
            self._active_tasks.forget(active)
            raise _cannot_be_kept(error) from None
        except BaseException as error:
            self._active_tasks.forget(active)
            if not isinstance(error, (A2AError, TaskConflictError, EngineBusyError)):
                self._active_tasks.unstarted(record)
            raise
        finally:
            active.starting -= 1
        if known is None:
            self._active_tasks.tell(record)
            self._runner.dispatch(active, callee, skill, message, origin=client.origin, request=request)
            return active
        self._active_tasks.forget(active)
        log_context.task(known)
        found = await self._active_tasks.find(known)
        if found is None:
            raise no_such_task(known)
        self._active_tasks.hold(found)
        return found

    async def follow_up(self, active: ActiveTask, callee: Callee, request: Send, *, client: Requester) -> None:
        """Begin the next turn of a task that waits for its client (1.0 section 3.4.3).

        A repeated message has no effect.
        """
        active.starting += 1
        waited: list[Json] = []
        try:
            async with self._quotas.room(callee, client.owner):
                said = await until_written(
                    lambda: self._turn(active, callee, request, waited, client=client), patience=self._limits.patience
                )
        except UnfitError as error:
            raise _cannot_be_kept(error) from None
        except BaseException as error:
            if not isinstance(error, (A2AError, TaskConflictError, EngineBusyError)):
                self._active_tasks.unstarted(replace(active.record, version=active.record.version + 1))
            raise
        finally:
            active.starting -= 1
        if said:
            skill = checked_skill(callee, request.message, client, default=active.record.skill)
            self._runner.dispatch(
                active,
                callee,
                skill,
                request.message,
                origin=client.origin,
                request=request,
                waited=waited[-1] if waited else None,
            )

    async def _create(self, record: TaskRecord, push: Push | None, *, idempotency_key: str | None) -> str | None:
        """Create the task. Return None, or the id of the task that an earlier identical request created."""
        tried = False

        async def create() -> str | None:
            nonlocal tried
            again, tried = tried, True
            try:
                known = await self._active_tasks.store.create(record, idempotency_key=idempotency_key, push=push)
            except TaskConflictError:
                if not again:
                    raise
                return None  # the first attempt was committed, and its answer was lost
            return None if known == record.id else known

        return await until_written(create, patience=self._limits.patience)

    async def _turn(
        self, active: ActiveTask, callee: Callee, request: Send, waited: list[Json], *, client: Requester
    ) -> bool:
        """Store the message. Return whether this request must start its call. Raises A2AError, StoreError.

        `waited` receives the status that the message replaces; only under the lock is it certain which that is.
        """
        message, store = request.message, self._active_tasks.store
        idempotency_key = _idempotency_key(callee, message, client)
        key = ("", idempotency_key) if idempotency_key is not None else None  # no event has an empty source
        for _ in range(_CONFLICTS):
            async with active.turning:
                record = active.record
                if message.get("contextId") not in (None, record.context_id):
                    raise invalid(Violation("message.contextId", f"task {record.id} belongs to another context"))
                if self._is_written(active, message):
                    return True
                if not record.state.settled or record.state.terminal:
                    if key is not None and await store.changed_by(record.id, key):
                        return False
                    raise _takes_no_messages(record)
                skill = checked_skill(callee, message, client, default=record.skill)
                now = self._active_tasks.clock.now()
                if (
                    self._pusher is not None
                    and (push := self._push(record, request, sent=record.version, client=client)) is not None
                ):
                    await self._pusher.keep(push)
                after = replace(
                    following(record, with_message(record.task, message, now=now), now=now),
                    holder=self._replica,
                    deadline=now + timeout(skill) + GRACE,
                )
                said = [{"message": message}, status_update(TaskState.WORKING, now=now)]
                waited.append(record.task["status"])
                try:
                    if await active.put(after, updates=said, store=store, key=key):
                        return True
                except TaskConflictError:
                    continue
                return self._is_written(active, message)
        raise TaskConflictError(f"task {active.record.id} changes too fast; send the message again")

    def _is_written(self, active: ActiveTask, message: Json) -> bool:
        """Whether an earlier attempt of this request was committed although its answer was lost.

        The task is then held by this replica and has no run.
        """
        record = active.record
        last = record.task.get("history", [{}])[-1]
        return (
            record.holder == self._replica
            and active.run is None
            and not record.state.settled
            and last.get("messageId") == message.get("messageId")
        )

    def _push(self, record: TaskRecord, request: Send, *, sent: int, client: Requester) -> Push | None:
        """Return the receiver that comes with the message. Its id is the same for each attempt of the message."""
        if request.push is None:
            return None
        if self._pusher is None:
            raise A2AError(Problem.PUSH_NOT_SUPPORTED)
        name = f"{record.id}\0{request.message.get('messageId')}"
        config = request.push if request.push.id else replace(request.push, id=str(uuid5(NAMESPACE_URL, name)))
        return self._pusher.made(record, config, wire=request.wire, sent=sent, registrant=client.registrant())


def checked_skill(callee: Callee, message: Json, client: Requester, *, default: str | None = None) -> Skill | None:
    """Return the skill that the message means. Raises A2AError if it is unknown, does not accept the message, or is
    none of those that the requester may call.
    """
    skill = skill_selection.skill_of(callee, message, default=default)
    if client.admit is not None:
        client.admit(skill.id if skill is not None else None)
    skill_selection.require_modes(callee, skill, message)
    return skill


def may_be_message(request: Send) -> bool:
    """Whether the answer may be a direct Message: nothing in the request needs a task (1.0 section 3.1.1)."""
    alone = not request.return_immediately and request.push is None and not request.as_task
    return alone and "taskId" not in request.message


def no_such_task(task_id: str) -> A2AError:
    return not_found(f"there is no task {task_id[:64]!r}.", task_id=task_id)


def _takes_no_messages(record: TaskRecord) -> A2AError:
    what = "has ended" if record.state.terminal else "is working and accepts no messages until it is done"
    metadata = {"state": str(record.state)}
    return A2AError(Problem.UNSUPPORTED_OPERATION, f"Task {record.id} {what}.", metadata=metadata)


def _idempotency_key(callee: Callee, message: Json, client: Requester) -> str | None:
    """Return the client's key for the request, else the message's id if the agent deduplicates by it."""
    if client.idempotency_key is not None:
        return f"key {client.idempotency_key}"
    return f"message {message['messageId']}" if callee.once_by_message else None


def _cannot_be_kept(error: UnfitError) -> A2AError:
    """Return the error as the client's, because sending the message again would fail too."""
    return invalid(Violation("message", f"cannot be stored: {error}"))
