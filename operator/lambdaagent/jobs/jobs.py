"""Accepts jobs, gives each to an agent that can do it, and tries again until it ends.

Invariant: an attempt is held by one replica, by a lease in the database, and only the attempt's own number ends it. A
replica that ends leaves its attempts to others, which go on with the same number: the agent gets the same request, with
the same key, and not a second one.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from lambdaagent import shares
from lambdaagent.a2a import Json
from lambdaagent.backoff import Backoff, spread
from lambdaagent.cancellation import cancel
from lambdaagent.clock import rfc3339
from lambdaagent.coordination import schedule
from lambdaagent.coordination.job import ATTEMPT, ENDED, JOB, Candidate, Definition, Job, NewDefinition, NewJob, chosen
from lambdaagent.coordination.message import Message, derived_id
from lambdaagent.coordination.refusals import TooManyError
from lambdaagent.errors import LambdaAgentError, PermanentError, TemporaryError
from lambdaagent.store.coordination import jobs as table
from lambdaagent.store.coordination.database import Database, Notice, Transaction
from lambdaagent.store.errors import UnfitError

log = structlog.get_logger(__name__)

_SWEEP = 1.0
_RETENTION = 30 * 86_400.0
_AT_ONCE = 100


class Workers(Protocol):
    """The agents that do jobs."""

    async def candidates(self, job: Job) -> Sequence[Candidate]:
        """Return the agents that can do the job, are active, and may be called by its creator."""
        ...

    async def perform(self, job: Job, agent_id: str, begun: Callable[[str], Awaitable[None]]) -> Json:
        """Have the agent do the attempt, and return its result. `begun` is called with the id of its task.

        Raises TemporaryError where another attempt may succeed, PermanentError where none will.
        """
        ...

    async def abandon(self, job: Job) -> None:
        """Cancel what the agent does for an attempt that is over."""
        ...

    async def unfit(self, job: Job, output: Json) -> str:
        """Return why a result does not fit the job's definition; empty: it does."""
        ...

    def inactive(self, agent_ids: Sequence[str]) -> list[str]:
        """Return those that no longer do jobs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    workers: int = 100  # attempts of this replica at once
    lease: float = 15.0  # seconds
    of_owner: int = 10_000  # jobs that have not ended
    definitions: int = 1_000
    page: int = 100
    patience: float = 2.0  # seconds until a job without an agent is looked at again


@dataclass(kw_only=True)
class Jobs:
    database: Database
    workers: Workers
    replica: str
    told: Callable[[str, Job], None]  # of an event: its name and the job
    limits: JobLimits = field(default_factory=JobLimits)
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=60.0))
    _running: dict[str, tuple[Job, asyncio.Task[None]]] = field(default_factory=dict, init=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _changed: dict[str, None] = field(default_factory=dict, init=False)
    _one: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.database.on_notice(self._heard, missed=self._some.set)
        loops = (self._claim(), self._watch(), self._renew(), self._sweep())
        tasks = [asyncio.create_task(each, name="jobs") for each in loops]
        try:
            yield
        finally:
            await cancel(*tasks)
            await cancel(*(task for _, task in self._running.values()))

    async def define(self, body: NewDefinition, *, by: str, principal: str = "") -> tuple[Definition, str]:
        """Return the definition, and the secret of its webhook if it has one. `principal` is as for `submit`.

        Raises IdInUseError, TooManyError, StoreError.
        """
        plan, hook = body.schedule, body.webhook
        secret = (hook.secret or f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}") if hook else ""
        definition = Definition(
            task_id=body.task_id or f"task_{secrets.token_hex(16)}",
            name=body.name,
            description=body.description,
            task_type=body.task_type,
            required_capabilities=body.required_capabilities,
            input_schema=body.input_schema,
            output_schema=body.output_schema,
            priority=body.priority,
            max_retries=body.max_retries,
            timeout_seconds=body.timeout_seconds,
            strategy=body.strategy,
            agent_id=body.agent_id or "",
            metadata=body.metadata,
            created_by=by,
            principal=principal,
            input_data=body.input_data,
            cron=plan.cron if plan is not None else "",
            timezone=plan.timezone if plan is not None else "UTC",
            next_run_at=schedule.following(plan.cron, plan.timezone, after=self.database.now()) if plan else None,
            hook_kind=hook.kind if hook is not None else "",
            hook_id=secrets.token_urlsafe(24) if hook is not None else None,
        )
        most = self.limits.definitions
        await self.database.run(lambda tx: table.define(tx, definition, most=most, hook_secret=secret))
        return definition, secret

    async def hooked(self, hook_id: str) -> tuple[Definition, str] | None:
        """Return the definition that a webhook runs, and the webhook's secret."""
        return await self.database.read(lambda tx: table.hooked(tx, hook_id))

    async def definition(self, task_id: str) -> Definition | None:
        return await self.database.read(lambda tx: table.definition(tx, task_id))

    async def definitions(self, *, owner: str | None) -> list[Definition]:
        return await self.database.read(lambda tx: table.definitions(tx, owner=owner, limit=self.limits.page))

    async def undefine(self, task_id: str, *, by: str) -> bool:
        return await self.database.run(lambda tx: table.undefine(tx, task_id, by))

    async def submit(
        self, body: NewJob, definition: Definition | None, *, by: str, principal: str, job_id: str = ""
    ) -> tuple[Job, bool]:
        """Return the job, and whether it is new. `principal` is its creator, to check its rights later.

        `job_id` is an id that the gateway made, in place of the body's. Raises TooManyError, StoreError.
        """
        job = _job(body, definition, by=by, principal=principal, job_id=job_id)
        known = await self.database.run(lambda tx: table.submit(tx, job, most=self.limits.of_owner))
        if known is None:
            self.told("task.created", job)
        return known or job, known is None

    async def find(self, job_id: str) -> Job | None:
        return await self.database.read(lambda tx: table.find(tx, job_id))

    async def listed(self, *, owner: str | None, status: str | None, task_id: str | None) -> list[Job]:
        return await self.database.read(
            lambda tx: table.listed(tx, owner=owner, status=status, task_id=task_id, limit=self.limits.page)
        )

    async def cancel(self, job_id: str, *, by: str) -> Job | None:
        done = await self.database.run(lambda tx: table.cancel(tx, job_id, by))
        return done[0] if done is not None else None

    async def answered(self, message: Message, receiver: str, answer: Json) -> None:
        """Take the answer of an agent to the message that asked it for a job, at whichever replica it arrives."""
        job_id, attempt = ((message.metadata or {}).get(each) for each in (JOB, ATTEMPT))
        if not isinstance(job_id, str) or message.id != derived_id("job", job_id, str(attempt)):
            return
        job = await self.find(job_id)
        if job is None or job.attempt != attempt or job.assigned_agent_id != receiver:
            return
        if "error" in answer:
            await self._fail(job, f"{receiver}: {str(answer['error'])[:1000]}", again=True)
        elif wrong := await self.workers.unfit(job, answer):
            await self._fail(job, f"{receiver}: {wrong}", again=True)
        else:
            await self._complete(job, answer)

    async def counts(self) -> dict[str, int]:
        return await self.database.read(table.counts)

    def _heard(self, notice: Notice) -> None:
        if notice.kind == table.NOTICE:
            self._some.set()
            if notice.id in self._running:
                self._changed[notice.id] = None
                self._one.set()

    async def _watch(self) -> None:
        """End this replica's work on attempts that are over."""
        while True:
            await self._one.wait()
            self._one.clear()
            changed, self._changed = self._changed, {}
            for job_id in changed:
                held = self._running.get(job_id)
                if held is None:
                    continue
                job, task = held
                try:
                    now = await self.find(job_id)
                except LambdaAgentError:
                    continue  # the lease ends, at the latest
                if now is None or now.status in (*ENDED, "pending") or now.attempt != job.attempt:
                    task.cancel()

    async def _claim(self) -> None:
        while True:
            self._some.clear()  # what comes during the claim is looked at in the next one
            room = shares.room((job.created_by for job, _ in self._running.values()), most=self.limits.workers)
            taken = await self._taken(room) if room.limit > 0 else []
            for job in taken:
                task = asyncio.create_task(self._attempt(job), name=f"job {job.job_id}")
                self._running[job.job_id] = (job, task)
            if not taken:
                try:
                    async with asyncio.timeout(_SWEEP):
                        await self._some.wait()
                except TimeoutError:
                    continue

    async def _taken(self, room: shares.Room) -> list[Job]:
        try:
            return await self.database.run(
                lambda tx: table.claim(
                    tx,
                    self.replica,
                    limit=min(room.limit, _AT_ONCE),
                    lease=self.limits.lease,
                    without=room.without,
                )
            )
        except Exception as error:  # the root of a loop that nothing may end
            log.warning("job.claim_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
            return []

    async def _attempt(self, job: Job) -> None:
        try:
            await self._work(job)
        except asyncio.CancelledError:
            with_task = await self._current(job)
            if with_task is not None:
                await self.workers.abandon(with_task)
            raise
        except LambdaAgentError as error:  # of the database: the lease ends, and the attempt goes on elsewhere
            log.warning("job.unsettled", job=job.job_id, attempt=job.attempt, error=str(error))
        except Exception:  # the root of this task
            log.exception("job.crashed", job=job.job_id, attempt=job.attempt)
            await self._fail(job, "the gateway failed; see its log", again=True)
        finally:
            self._running.pop(job.job_id, None)
            self._some.set()

    async def _current(self, job: Job) -> Job | None:
        """Return the job if it is over, and nobody goes on with it."""
        try:
            now = await self.find(job.job_id)
        except LambdaAgentError:
            return None
        return now if now is not None and (now.status in ENDED or now.attempt != job.attempt) else None

    async def _work(self, job: Job) -> None:
        agent_id = job.assigned_agent_id or await self._choose(job)
        if agent_id is None:
            return
        if job.assigned_agent_id is None:
            if not await self.database.run(lambda tx: table.assign(tx, job, agent_id)):
                return
            self.told("task.assigned", job)

        async def begun(a2a_task_id: str) -> None:
            await self.database.run(lambda tx: table.begun(tx, job, a2a_task_id))

        try:
            output = await self.workers.perform(job, agent_id, begun)
        except (TemporaryError, TimeoutError) as error:
            await self._fail(job, f"{agent_id}: {str(error) or 'it did not answer in time'}", again=True)
            return
        except PermanentError as error:
            await self._fail(job, f"{agent_id}: {error}", again=False)
            return
        await self._complete(job, output)

    async def _complete(self, job: Job, output: Json) -> None:
        try:
            done = await self.database.run(lambda tx: table.complete(tx, job, output))
        except UnfitError as error:
            await self._fail(job, f"the output cannot be kept: {error}", again=False)
            return
        if done:
            log.info("job.completed", job=job.job_id, attempt=job.attempt)
            self.told("task.completed", job)

    async def _choose(self, job: Job) -> str | None:
        """Return the agent for the attempt. If there is none now, give the job back."""
        candidates = await self.workers.candidates(job)
        if not candidates:
            what = job.agent_id or ", ".join(job.required_capabilities) or job.task_type
            why = f"no active agent that you may call can do it: {what}"
            if self.database.now() - job.created_at > job.timeout_seconds:
                await self._fail(job, why, again=False)
            else:
                await self.database.run(lambda tx: table.defer(tx, job, why, seconds=self.limits.patience))
            return None

        def decide(tx: Transaction) -> str:
            inflight = table.inflight(tx, [each.agent_id for each in candidates])
            turn = table.turn(tx, job.task_id or job.task_type)
            return chosen(candidates, job.strategy, inflight=inflight, turn=turn)

        return await self.database.run(decide)

    async def _fail(self, job: Job, error: str, *, again: bool) -> None:
        after = self.backoff.delay(job.retry_count + 1) if again else None
        if not await self.database.run(lambda tx: table.fail(tx, job, error[:2000], again_after=after)):
            return
        log.info("job.attempt_failed", job=job.job_id, attempt=job.attempt, error=error)
        if after is None or job.retry_count >= job.max_retries:
            self.told("task.failed", job)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.limits.lease / 3)
            try:
                mine = await self._renewed(held := list(self._running))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("job.renew_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                continue
            for job_id in set(held) - mine:
                if (lost := self._running.get(job_id)) is not None:
                    lost[1].cancel()

    async def _renewed(self, held: list[str]) -> set[str]:
        return await self.database.run(lambda tx: table.renew(tx, self.replica, held, lease=self.limits.lease))

    def due(self, tx: Transaction) -> list[Job]:
        """Write the jobs of schedules whose time has come, together with the schedules' next times."""
        made = []
        for definition, at in table.due_schedules(tx, limit=_AT_ONCE):
            try:
                body = NewJob(
                    task_id=definition.task_id,
                    input_data=definition.input_data,
                    metadata={"scheduled_at": rfc3339(at)},
                )
                job = _job(
                    body,
                    definition,
                    by=definition.created_by,
                    principal=definition.principal,
                    job_id=derived_id("schedule", definition.task_id, str(int(at))),
                )
                if table.submit(tx, job, most=self.limits.of_owner) is None:
                    made.append(job)
            except TooManyError:
                log.warning("schedule.skipped", task=definition.task_id, error="its owner has too many jobs")
            except ValueError as error:  # a definition that another release accepted must not stop the others
                log.warning("schedule.skipped", task=definition.task_id, error=str(error)[:500])
        return made

    async def _sweep(self) -> None:
        """Give attempts of agents that became inactive to others, and delete old jobs."""
        while True:
            await asyncio.sleep(spread(_SWEEP))
            try:
                held = await self.database.read(lambda tx: table.held(tx, self.replica))
                agents = {job.assigned_agent_id for job in held if job.assigned_agent_id is not None}
                gone = self.workers.inactive(sorted(agents))
                for job in held:
                    if job.assigned_agent_id in gone:
                        await self._fail(job, f"{job.assigned_agent_id}: it became inactive", again=True)
                for job in await self.database.run(self.due):
                    self.told("task.created", job)
                await self.database.run(lambda tx: table.prune(tx, before=tx.now - _RETENTION, limit=_AT_ONCE))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("job.sweep_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))


def _first(*given: int | None) -> int:
    return next(each for each in given if each is not None)


def _job(body: NewJob, definition: Definition | None, *, by: str, principal: str, job_id: str = "") -> Job:
    return Job(
        job_id=job_id or body.job_id or f"job_{secrets.token_hex(16)}",
        task_id=definition.task_id if definition is not None else "",
        task_type=definition.task_type if definition is not None else body.task_type or "",
        required_capabilities=definition.required_capabilities if definition is not None else [],
        agent_id=body.agent_id or (definition.agent_id if definition is not None else ""),
        strategy=body.strategy or (definition.strategy if definition is not None else "auto"),
        priority=body.priority or (definition.priority if definition is not None else 5),
        max_retries=_first(body.max_retries, definition.max_retries if definition is not None else None, 3),
        timeout_seconds=_first(
            body.timeout_seconds, definition.timeout_seconds if definition is not None else None, 300
        ),
        input_data=body.input_data,
        metadata=body.metadata,
        created_by=by,
        principal=principal,
    )
