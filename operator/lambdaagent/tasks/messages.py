"""What clients say becomes tasks: a first message creates one, a follow-up continues one that waits for its client.

Invariant: a message that the store has is worked on, once per idempotency key. A store that is away is waited for a
little; when the request must give up, or its client goes away, it is not known whether the message was stored. Such
messages are noted in `lives`, and the keeper starts those that turn out to be there.
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
from lambdaagent.api.a2a import Skill
from lambdaagent.containers.callee import Callee, timeout
from lambdaagent.store.errors import ConflictError, UnfitError
from lambdaagent.store.records import Push, TaskRecord
from lambdaagent.tasks import skill_selection
from lambdaagent.tasks.active_task import Limits, Live, following
from lambdaagent.tasks.calling import GRACE
from lambdaagent.tasks.push_sender import Pusher
from lambdaagent.tasks.registry import Lives
from lambdaagent.tasks.requests import Client
from lambdaagent.tasks.runner import Runner
from lambdaagent.tasks.storing import until_written

_CONFLICTS = 8


class Messages:
    def __init__(
        self,
        *,
        lives: Lives,
        runner: Runner,
        limits: Limits,
        pusher: Pusher | None,
        replica: str,
        begins_submitted: Callable[[Skill | None], bool],
    ) -> None:
        """`begins_submitted`: calls of this skill are events, so the task waits until its event is delivered."""
        self._lives = lives
        self._runner = runner
        self._limits = limits
        self._pusher = pusher
        self._replica = replica
        self._begins_submitted = begins_submitted

    async def first(self, callee: Callee, request: Send, *, client: Client) -> Live:
        """The task of the message, held; the caller drops it. Raises A2AError, TemporaryError."""
        message, clock = request.message, self._lives.clock
        skill = checked_skill(callee, message)
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
        push = self._push(record, request, sent=0)
        live = self._lives.new(record)
        live.starting += 1
        self._lives.hold(live)
        try:
            known = await self._create(record, push, once=_idempotency_key(callee, message, client))
        except UnfitError as error:
            self._lives.forget(live)
            raise _cannot_be_kept(error) from None
        except BaseException as error:
            self._lives.forget(live)
            if not isinstance(error, (A2AError, ConflictError)):
                self._lives.unstarted(record)
            raise
        finally:
            live.starting -= 1
        if known is None:
            self._lives.tell(record)
            self._runner.dispatch(live, callee, skill, message, traceparent=client.traceparent, request=request)
            return live
        self._lives.forget(live)
        log_context.task(known)
        found = await self._lives.find(known)
        if found is None:
            raise no_such_task(known)
        self._lives.hold(found)
        return found

    async def follow_up(self, live: Live, callee: Callee, request: Send, *, client: Client) -> None:
        """The next turn of a task that waits for its client (1.0 section 3.4.3); nothing where it was said before."""
        live.starting += 1
        waited: list[Json] = []
        try:
            said = await until_written(
                lambda: self._turn(live, callee, request, waited, client=client), patience=self._limits.patience
            )
        except UnfitError as error:
            raise _cannot_be_kept(error) from None
        except BaseException as error:
            if not isinstance(error, (A2AError, ConflictError)):
                self._lives.unstarted(replace(live.record, version=live.record.version + 1))
            raise
        finally:
            live.starting -= 1
        if said:
            skill = checked_skill(callee, request.message, default=live.record.skill)
            self._runner.dispatch(
                live,
                callee,
                skill,
                request.message,
                traceparent=client.traceparent,
                request=request,
                waited=waited[-1] if waited else None,
            )

    async def _create(self, record: TaskRecord, push: Push | None, *, once: str | None) -> str | None:
        """None: the task is there and new; else the id of the one that was created for the same request before."""
        tried = False

        async def create() -> str | None:
            nonlocal tried
            again, tried = tried, True
            try:
                known = await self._lives.store.create(record, once=once, push=push)
            except ConflictError:
                if not again:
                    raise
                return None  # the first attempt was written, and its answer was lost
            return None if known == record.id else known

        return await until_written(create, patience=self._limits.patience)

    async def _turn(self, live: Live, callee: Callee, request: Send, waited: list[Json], *, client: Client) -> bool:
        """Whether the message is this request's own to be worked on. Raises A2AError, StoreError.

        `waited` gets the status that the message puts an end to: only under the lock is it the one.
        """
        message, store = request.message, self._lives.store
        once = _idempotency_key(callee, message, client)
        key = ("", once) if once is not None else None  # no event has an empty source
        for _ in range(_CONFLICTS):
            async with live.turning:
                record = live.record
                if message.get("contextId") not in (None, record.context_id):
                    raise invalid(Violation("message.contextId", f"task {record.id} belongs to another context"))
                if self._is_written(live, message):
                    return True
                if not record.state.settled or record.state.terminal:
                    if key is not None and await store.changed_by(record.id, key):
                        return False
                    raise _takes_no_messages(record)
                skill = checked_skill(callee, message, default=record.skill)
                now = self._lives.clock.now()
                if self._pusher is not None and (push := self._push(record, request, sent=record.version)) is not None:
                    await self._pusher.keep(push)
                after = replace(
                    following(record, with_message(record.task, message, now=now), now=now),
                    holder=self._replica,
                    deadline=now + timeout(skill) + GRACE,
                )
                said = [{"message": message}, status_update(TaskState.WORKING, now=now)]
                waited.append(record.task["status"])
                try:
                    if await live.put(after, updates=said, store=store, key=key):
                        return True
                except ConflictError:
                    continue
                return self._is_written(live, message)
        raise ConflictError(f"task {live.record.id} changes too fast; send the message again")

    def _is_written(self, live: Live, message: Json) -> bool:
        """An earlier attempt of this request was, and its answer was lost: the task is ours, and nothing runs it."""
        record = live.record
        last = record.task.get("history", [{}])[-1]
        return (
            record.holder == self._replica
            and live.run is None
            and not record.state.settled
            and last.get("messageId") == message.get("messageId")
        )

    def _push(self, record: TaskRecord, request: Send, *, sent: int) -> Push | None:
        """The receiver that comes with the message. Its id is the same for each attempt of the same message."""
        if request.push is None:
            return None
        if self._pusher is None:
            raise A2AError(Problem.PUSH_NOT_SUPPORTED)
        name = f"{record.id}\0{request.message.get('messageId')}"
        config = request.push if request.push.id else replace(request.push, id=str(uuid5(NAMESPACE_URL, name)))
        return self._pusher.made(record, config, wire=request.wire, sent=sent)


def checked_skill(callee: Callee, message: Json, *, default: str | None = None) -> Skill | None:
    """The skill that is meant, if it may be asked for this. Raises A2AError."""
    skill = skill_selection.skill_of(callee, message, default=default)
    skill_selection.require_modes(callee, skill, message)
    return skill


def may_be_message(request: Send) -> bool:
    """Whether the answer may be a direct Message: nothing of the request needs a task (1.0 section 3.1.1)."""
    return not request.return_immediately and request.push is None and "taskId" not in request.message


def no_such_task(task_id: str) -> A2AError:
    return not_found(f"there is no task {task_id[:64]!r}.", task_id=task_id)


def _takes_no_messages(record: TaskRecord) -> A2AError:
    what = "has ended" if record.state.terminal else "is working and takes no messages meanwhile"
    metadata = {"state": str(record.state)}
    return A2AError(Problem.UNSUPPORTED_OPERATION, f"Task {record.id} {what}.", metadata=metadata)


def _idempotency_key(callee: Callee, message: Json, client: Client) -> str | None:
    """The client's own key for the request, else its message's id where the agent says that this is one."""
    if client.once is not None:
        return f"key {client.once}"
    return f"message {message['messageId']}" if callee.once_by_message else None


def _cannot_be_kept(error: UnfitError) -> A2AError:
    """It is the client's mistake, and sending it again would not help."""
    return invalid(Violation("message", f"cannot be stored: {error}"))
