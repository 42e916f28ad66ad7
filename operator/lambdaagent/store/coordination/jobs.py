"""The tables of task definitions and jobs.

A job is held by one replica at a time, by a lease that it renews. Whatever ends an attempt names its number, so what
was given up, because a lease ran out or the agent became inactive, changes nothing any more.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)

from lambdaagent.a2a import Json
from lambdaagent.coordination import schedule
from lambdaagent.coordination.job import Definition, Job
from lambdaagent.coordination.refusals import IdInUseError, TooManyError
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.sealed_documents import opened, opened_secret, sealed, sealed_secret
from lambdaagent.store.coordination.tables import Document, Time, common, metadata

NOTICE = "job"
_LARGE = ("input_data", "output_data")

tasks = Table(
    "a2a_tasks",
    metadata,
    Column("task_id", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("task_type", String(100), nullable=False),
    Column("required_capabilities", Document, nullable=False, server_default=text("'[]'")),
    Column("input_schema", Document, nullable=False, server_default=text("'{}'")),
    Column("output_schema", Document, nullable=False, server_default=text("'{}'")),
    Column("priority", Integer, nullable=False, server_default="5"),
    Column("max_retries", Integer, nullable=False, server_default="3"),
    Column("timeout_seconds", Integer, nullable=False, server_default="300"),
    *common(),
    Column("strategy", String(16), nullable=False),
    Column("agent_id", String(512), nullable=False, server_default=""),
    Column("principal", Text, nullable=False, server_default=""),
    Column("input_data", Document, nullable=False, server_default=text("'{}'")),
    Column("cron", String(255), nullable=False, server_default=""),
    Column("timezone", String(64), nullable=False, server_default="UTC"),
    Column("next_run_at", Time),
    Column("hook_id", String(64)),
    Column("hook_kind", String(16), nullable=False, server_default=""),
    Column("hook_secret", Text, nullable=False, server_default=""),
    CheckConstraint("priority BETWEEN 1 AND 10", name="a2a_tasks_priority"),
)
_KEPT = not_(tasks.c.is_deleted)
Index("idx_a2a_tasks_type", tasks.c.task_type, postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_tasks_priority", tasks.c.priority.desc(), postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_tasks_owner", tasks.c.created_by, postgresql_where=_KEPT, sqlite_where=_KEPT)

Index("idx_a2a_tasks_hook", tasks.c.hook_id, unique=True)
_SCHEDULED = and_(tasks.c.next_run_at.is_not(None), _KEPT)
Index("idx_a2a_tasks_schedule", tasks.c.next_run_at, postgresql_where=_SCHEDULED, sqlite_where=_SCHEDULED)

jobs = Table(
    "a2a_jobs",
    metadata,
    Column("job_id", String(255), primary_key=True),
    Column("task_id", String(255), nullable=False, server_default=""),
    Column("assigned_agent_id", String(512)),
    Column("status", String(50), nullable=False, server_default="pending"),
    Column("input_data", Document, nullable=False, server_default=text("'{}'")),
    Column("output_data", Document, nullable=False, server_default=text("'{}'")),
    Column("error_message", Text),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("started_at", Time),
    Column("completed_at", Time),
    Column("execution_time_ms", Integer),
    *common(),
    Column("task_type", String(100), nullable=False),
    Column("required_capabilities", Document, nullable=False),
    Column("agent_id", String(512), nullable=False, server_default=""),
    Column("strategy", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("principal", Text, nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("a2a_task_id", String(255), nullable=False, server_default=""),
    Column("due", Time, nullable=False),
    Column("holder", String(255), nullable=False, server_default=""),
    Column("lease_until", Time, nullable=False),
    CheckConstraint(
        "status IN ('pending', 'assigned', 'running', 'completed', 'failed', 'cancelled')", name="a2a_jobs_status"
    ),
)
_NOT_DELETED = not_(jobs.c.is_deleted)
_PENDING = jobs.c.status == text("'pending'")
_ACTIVE = or_(jobs.c.status == text("'assigned'"), jobs.c.status == text("'running'"))
_UNENDED = or_(_PENDING, _ACTIVE)
Index("idx_a2a_jobs_status", jobs.c.status, postgresql_where=_NOT_DELETED, sqlite_where=_NOT_DELETED)
Index("idx_a2a_jobs_task_id", jobs.c.task_id, postgresql_where=_NOT_DELETED, sqlite_where=_NOT_DELETED)
Index("idx_a2a_jobs_agent_id", jobs.c.assigned_agent_id, postgresql_where=_NOT_DELETED, sqlite_where=_NOT_DELETED)
Index("idx_a2a_jobs_created_at", jobs.c.created_at.desc(), postgresql_where=_NOT_DELETED, sqlite_where=_NOT_DELETED)
Index("idx_a2a_jobs_due", jobs.c.priority.desc(), jobs.c.due, postgresql_where=_PENDING, sqlite_where=_PENDING)
Index("idx_a2a_jobs_lease", jobs.c.lease_until, postgresql_where=_ACTIVE, sqlite_where=_ACTIVE)
Index("idx_a2a_jobs_holder", jobs.c.holder, postgresql_where=_ACTIVE, sqlite_where=_ACTIVE)
Index("idx_a2a_jobs_owner", jobs.c.created_by, jobs.c.created_at)

turns = Table(
    "a2a_turns",
    metadata,
    Column("kind", String(255), primary_key=True),
    Column("turn", Integer, nullable=False),
)


def define(tx: Transaction, definition: Definition, *, most: int, hook_secret: str = "") -> None:
    """Raises IdInUseError, TooManyError."""
    known = select(tasks.c.task_id).where(tasks.c.task_id == definition.task_id)
    if tx.connection.execute(known).first() is not None:
        raise IdInUseError(definition.task_id)
    mine = select(func.count()).select_from(tasks).where(tasks.c.created_by == definition.created_by, _KEPT)
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(definition.created_by)
    values = {name: getattr(definition, name) for name in Definition.__slots__}
    values |= {"required_capabilities": list(definition.required_capabilities), "modified_by": definition.created_by}
    values |= {"created_at": tx.now, "modified_at": tx.now}
    values["input_data"] = sealed(tx.sealing, definition.input_data, "a2a_tasks", "input_data", definition.task_id)
    values["hook_secret"] = sealed_secret(tx.sealing, hook_secret, "a2a_tasks", "hook_secret", definition.task_id)
    tx.connection.execute(insert(tasks).values(**values))


def definition(tx: Transaction, task_id: str) -> Definition | None:
    row = tx.connection.execute(select(tasks).where(tasks.c.task_id == task_id, _KEPT)).first()
    return _definition(tx, row) if row is not None else None


def definitions(tx: Transaction, *, owner: str | None, limit: int) -> list[Definition]:
    wanted = select(tasks).where(_KEPT)
    if owner is not None:
        wanted = wanted.where(tasks.c.created_by == owner)
    return [
        _definition(tx, row) for row in tx.connection.execute(wanted.order_by(tasks.c.created_at.desc()).limit(limit))
    ]


def hooked(tx: Transaction, hook_id: str) -> tuple[Definition, str] | None:
    """Return the definition that a webhook runs, and the webhook's secret."""
    row = tx.connection.execute(select(tasks).where(tasks.c.hook_id == hook_id, _KEPT)).first()
    if row is None:
        return None
    secret = opened_secret(tx.sealing, row.hook_secret, "a2a_tasks", "hook_secret", row.task_id)
    return _definition(tx, row), secret


def due_schedules(tx: Transaction, *, limit: int) -> list[tuple[Definition, float]]:
    """Return definitions whose time has come, with that time, and set their next one.

    Of several replicas one gets each time. Times that passed while no gateway ran are one run.
    """
    due = select(tasks).where(_SCHEDULED, tasks.c.next_run_at <= tx.now).order_by(tasks.c.next_run_at).limit(limit)
    found = [_definition(tx, row) for row in tx.connection.execute(due.with_for_update(skip_locked=True))]
    for each in found:
        following = schedule.following(each.cron, each.timezone, after=tx.now)
        changed = update(tasks).where(tasks.c.task_id == each.task_id)
        tx.connection.execute(changed.values(next_run_at=following))
    return [(each, each.next_run_at or tx.now) for each in found]


def undefine(tx: Transaction, task_id: str, by: str) -> bool:
    gone = update(tasks).where(tasks.c.task_id == task_id, _KEPT)
    return tx.connection.execute(gone.values(is_deleted=True, modified_at=tx.now, modified_by=by)).rowcount > 0


def submit(tx: Transaction, job: Job, *, most: int) -> Job | None:
    """Write a job; return the one with its id that is there already, or None.

    Raises TooManyError if its owner has `most` jobs that have not ended.
    """
    known = find(tx, job.job_id)
    if known is not None:
        return known
    mine = select(func.count()).select_from(jobs).where(jobs.c.created_by == job.created_by, _UNENDED)
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(job.created_by)
    values = {name: getattr(job, name) for name in Job.__slots__}
    values |= {"required_capabilities": list(job.required_capabilities), "modified_by": job.created_by}
    values |= {"created_at": tx.now, "modified_at": tx.now, "due": tx.now, "lease_until": tx.now}
    values["input_data"] = sealed(tx.sealing, job.input_data, "a2a_jobs", "input_data", job.job_id)
    tx.connection.execute(insert(jobs).values(**values))
    tx.notify(NOTICE, job.job_id)
    return None


def find(tx: Transaction, job_id: str) -> Job | None:
    row = tx.connection.execute(select(jobs).where(jobs.c.job_id == job_id, _NOT_DELETED)).first()
    return _job(tx, row) if row is not None else None


def listed(tx: Transaction, *, owner: str | None, status: str | None, task_id: str | None, limit: int) -> list[Job]:
    """Return the newest jobs, without their inputs and outputs, which may be large."""
    names = [name for name in Job.__slots__ if name not in _LARGE]
    wanted = select(*(jobs.c[name] for name in names)).where(_NOT_DELETED)
    for column, value in ((jobs.c.created_by, owner), (jobs.c.status, status), (jobs.c.task_id, task_id)):
        if value is not None:
            wanted = wanted.where(column == value)
    rows = tx.connection.execute(wanted.order_by(jobs.c.created_at.desc()).limit(limit))
    return [Job(input_data={}, **{name: getattr(row, name) for name in names}) for row in rows]


def claim(tx: Transaction, holder: str, *, limit: int, lease: float, without: Collection[str] = ()) -> list[Job]:
    """Take jobs that are due, the most urgent first, and those whose holder did not renew its lease.

    Jobs of the owners in `without` are left.

    The next attempt of a pending job begins; that of another holder goes on under the same number.
    """
    due = and_(_PENDING, jobs.c.due <= tx.now)
    left = and_(_ACTIVE, jobs.c.lease_until <= tx.now)
    order = (jobs.c.priority.desc(), jobs.c.due, jobs.c.job_id)
    found: list[Any] = []
    for wanted in (left, due):
        wanted = and_(wanted, jobs.c.created_by.not_in(list(without))) if without else wanted
        rows = select(jobs.c.job_id, jobs.c.status).where(wanted).order_by(*order).limit(limit - len(found))
        found += tx.connection.execute(rows.with_for_update(skip_locked=True)).all() if len(found) < limit else []
    taken: list[Job] = []
    for row in found:
        values: dict[str, Any] = {"holder": holder, "lease_until": tx.now + lease, "modified_at": tx.now}
        if row.status == "pending":
            values |= {
                "status": "assigned",
                "attempt": jobs.c.attempt + 1,
                "assigned_agent_id": None,
                "a2a_task_id": "",
            }
        tx.connection.execute(update(jobs).where(jobs.c.job_id == row.job_id).values(**values))
        job = find(tx, row.job_id)
        if job is not None:
            taken.append(job)
    return taken


def renew(tx: Transaction, holder: str, job_ids: Collection[str], *, lease: float) -> set[str]:
    """Renew the leases, and return the jobs that this replica still holds."""
    if not job_ids:
        return set()
    mine = (jobs.c.job_id.in_(list(job_ids)), jobs.c.holder == holder, _ACTIVE)
    tx.connection.execute(update(jobs).where(*mine).values(lease_until=tx.now + lease))
    return set(tx.connection.execute(select(jobs.c.job_id).where(*mine)).scalars())


def assign(tx: Transaction, job: Job, agent_id: str) -> bool:
    """Write which agent the attempt is given to. False: the attempt is over."""
    values = {"assigned_agent_id": agent_id, "started_at": func.coalesce(jobs.c.started_at, _at(tx))}
    return _written(tx, job, values)


def begun(tx: Transaction, job: Job, a2a_task_id: str) -> bool:
    """Write that the agent works on the attempt, as this task."""
    return _written(tx, job, {"status": "running", "a2a_task_id": a2a_task_id})


def complete(tx: Transaction, job: Job, output: Json) -> bool:
    stored = sealed(tx.sealing, output, "a2a_jobs", "output_data", job.job_id)
    return _written(tx, job, {"status": "completed", "output_data": stored, "error_message": None, **_end(tx, job)})


def fail(tx: Transaction, job: Job, error: str, *, again_after: float | None) -> bool:
    """End the attempt: the next one begins after some seconds, if one is left and `again_after` is not None."""
    if again_after is None or job.retry_count >= job.max_retries:
        return _written(tx, job, {"status": "failed", "error_message": error, **_end(tx, job)})
    values = {"status": "pending", "retry_count": job.retry_count + 1, "due": tx.now + again_after}
    return _written(tx, job, values | {"error_message": error, "holder": "", "assigned_agent_id": None})


def defer(tx: Transaction, job: Job, why: str, *, seconds: float) -> bool:
    """Give the job back, because no agent can do it now. That is no attempt."""
    values = {"status": "pending", "due": tx.now + seconds, "error_message": why, "holder": ""}
    return _written(tx, job, values | {"attempt": job.attempt - 1})


def cancel(tx: Transaction, job_id: str, by: str) -> tuple[Job, bool] | None:
    """Return the job, and whether it was canceled now; None if there is no such job."""
    ended = update(jobs).where(jobs.c.job_id == job_id, _UNENDED)
    values = {"status": "cancelled", "completed_at": tx.now, "modified_at": tx.now, "modified_by": by}
    done = tx.connection.execute(ended.values(**values)).rowcount > 0
    if done:
        tx.notify(NOTICE, job_id)
    job = find(tx, job_id)
    return (job, done) if job is not None else None


def inflight(tx: Transaction, agent_ids: Sequence[str]) -> dict[str, int]:
    """Return how many jobs each agent has been given that have not ended."""
    counted = (
        select(jobs.c.assigned_agent_id, func.count())
        .where(_ACTIVE, jobs.c.assigned_agent_id.in_(list(agent_ids)))
        .group_by(jobs.c.assigned_agent_id)
    )
    return {row[0]: row[1] for row in tx.connection.execute(counted)}


def turn(tx: Transaction, kind: str) -> int:
    """Return how many turns of this kind there were, and count one more."""
    counted = update(turns).where(turns.c.kind == kind).values(turn=turns.c.turn + 1).returning(turns.c.turn)
    found = tx.connection.execute(counted).scalar()
    if found is None:
        tx.connection.execute(insert(turns).values(kind=kind, turn=1))
        found = 1
    return int(found) - 1


def held(tx: Transaction, holder: str) -> list[Job]:
    """Return the jobs whose attempts a replica holds."""
    return [_job(tx, row) for row in tx.connection.execute(select(jobs).where(_ACTIVE, jobs.c.holder == holder))]


def prune(tx: Transaction, *, before: float, limit: int) -> int:
    """Delete jobs that ended before then."""
    old = select(jobs.c.job_id).where(~_UNENDED, jobs.c.completed_at < before).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    if ids:
        tx.connection.execute(jobs.delete().where(jobs.c.job_id.in_(ids)))
    return len(ids)


def counts(tx: Transaction) -> dict[str, int]:
    found = select(jobs.c.status, func.count()).where(_NOT_DELETED).group_by(jobs.c.status)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def _written(tx: Transaction, job: Job, values: dict[str, Any]) -> bool:
    same = (jobs.c.job_id == job.job_id, jobs.c.attempt == job.attempt, _ACTIVE)
    done = tx.connection.execute(update(jobs).where(*same).values(**values, modified_at=tx.now)).rowcount > 0
    if done:
        tx.notify(NOTICE, job.job_id)
    return done


def _end(tx: Transaction, job: Job) -> dict[str, Any]:
    begun_at = job.started_at if job.started_at is not None else tx.now
    return {"completed_at": tx.now, "execution_time_ms": min(2**31 - 1, max(0, int((tx.now - begun_at) * 1000)))}


def _definition(tx: Transaction, row: Any) -> Definition:
    values = {name: getattr(row, name) for name in Definition.__slots__}
    plain = opened(tx.sealing, row.input_data, "a2a_tasks", "input_data", row.task_id)
    return Definition(**values | {"input_data": plain})


def _job(tx: Transaction, row: Any) -> Job:
    values = {name: getattr(row, name) for name in Job.__slots__}
    plain = {name: opened(tx.sealing, values[name], "a2a_jobs", name, row.job_id) for name in _LARGE}
    return Job(**values | plain)


def _at(tx: Transaction) -> Any:
    return literal(tx.now, Time)
