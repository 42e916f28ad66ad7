"""The tables of workflows, their runs, and the records of the runs' steps.

A run is held by one replica at a time, by a lease that it renews. Nobody holds a run that only waits, until its time or
a message comes (`parking`). Each time a replica takes a run, the run's epoch grows; a record and the end of a run are
written only by who holds its epoch. So what a replica does after it lost a run changes nothing, and a step has one
record.
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
    not_,
    or_,
    select,
    text,
    update,
)

from lambdaagent.a2a import Json
from lambdaagent.coordination.refusals import IdInUseError, TooLargeError, TooManyError
from lambdaagent.coordination.workflow import Listener, Run, Workflow
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.tables import Document, Time, common, metadata

NOTICE, DEFINED = "run", "workflow"
_CHUNK = 1_000  # ids in one statement

workflows = Table(
    "a2a_workflows",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("document", Document, nullable=False),
    Column("access", Document, nullable=False, server_default=text("'{}'")),
    *common(),
)
_KEPT = not_(workflows.c.is_deleted)
Index("idx_a2a_workflows_owner", workflows.c.created_by, postgresql_where=_KEPT, sqlite_where=_KEPT)

runs = Table(
    "a2a_runs",
    metadata,
    Column("run_id", String(255), primary_key=True),
    Column("workflow", String(63), nullable=False),
    Column("version", String(64), nullable=False),
    Column("document", Document, nullable=False),
    Column("input", Document),  # {"value": ...}: SQLite would make a number of a text that is one
    Column("output", Document),  # likewise
    Column("error", Document),
    Column("status", String(16), nullable=False, server_default="pending"),
    Column("principal", Text, nullable=False, server_default=""),
    Column("depth", Integer, nullable=False, server_default="0"),
    Column("steps", Integer, nullable=False, server_default="0"),
    Column("size", Integer, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("holder", String(255), nullable=False, server_default=""),
    Column("lease_until", Time, nullable=False),
    Column("started_at", Time),
    Column("completed_at", Time),
    *common(),
    CheckConstraint("status IN ('pending', 'running', 'completed', 'faulted', 'cancelled')", name="a2a_runs_status"),
)
_PENDING = runs.c.status == text("'pending'")
RUNNING = runs.c.status == text("'running'")
_UNENDED = or_(_PENDING, RUNNING)
Index("idx_a2a_runs_lease", runs.c.lease_until, postgresql_where=_UNENDED, sqlite_where=_UNENDED)
Index("idx_a2a_runs_workflow", runs.c.workflow, runs.c.created_at)
Index("idx_a2a_runs_owner", runs.c.created_by, runs.c.created_at)
Index("idx_a2a_runs_completed_at", runs.c.completed_at)

steps = Table(
    "a2a_run_steps",
    metadata,
    Column("run_id", String(255), primary_key=True),
    Column("step", String(2000), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("value", Document, nullable=False),
    Column("created_at", Time, nullable=False),
    Index("idx_a2a_run_steps_number", "run_id", "number", unique=True),
)


class LostRunError(Exception):
    """Another replica holds the run now, or it has ended."""


def define(tx: Transaction, workflow: Workflow, *, most: int) -> bool:
    """Write a workflow, or the next version of one's own; return whether it is new.

    Raises IdInUseError, also if another principal deleted it; TooManyError.
    """
    name, owner = workflow.name, workflow.created_by
    known = select(workflows.c.created_by, workflows.c.is_deleted).where(workflows.c.name == name)
    found = tx.connection.execute(known).first()
    if found is not None and found.created_by != owner:
        raise IdInUseError(name)
    new = found is None or found.is_deleted
    mine = select(func.count()).select_from(workflows).where(workflows.c.created_by == owner, _KEPT)
    if new and tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(owner)
    values: dict[str, Any] = {"version": workflow.version, "document": workflow.document, "access": workflow.access}
    values |= {"modified_at": tx.now, "modified_by": owner, "is_deleted": False}
    if found is None:
        tx.connection.execute(insert(workflows).values(name=name, created_by=owner, created_at=tx.now, **values))
    else:
        tx.connection.execute(update(workflows).where(workflows.c.name == name).values(**values))
    tx.notify(DEFINED, name)
    return new


def find_workflow(tx: Transaction, name: str) -> Workflow | None:
    row = tx.connection.execute(select(workflows).where(workflows.c.name == name, _KEPT)).first()
    return _workflow(row) if row is not None else None


def listed_workflows(tx: Transaction, *, after: str, limit: int) -> list[Workflow]:
    wanted = select(workflows).where(_KEPT, workflows.c.name > after).order_by(workflows.c.name).limit(limit)
    return [_workflow(row) for row in tx.connection.execute(wanted)]


def undefine(tx: Transaction, name: str, by: str) -> bool:
    gone = update(workflows).where(workflows.c.name == name, _KEPT)
    done = tx.connection.execute(gone.values(is_deleted=True, modified_at=tx.now, modified_by=by)).rowcount > 0
    if done:
        tx.notify(DEFINED, name)
    return done


def submit(tx: Transaction, run: Run, *, most: int) -> Run | None:
    """Write a run; return the one with its id that is there already, or None. Raises TooManyError."""
    known = find(tx, run.run_id)
    if known is not None:
        return known
    mine = select(func.count()).select_from(runs).where(runs.c.created_by == run.created_by, _UNENDED)
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(run.created_by)
    names = ("run_id", "workflow", "version", "document", "created_by", "principal", "depth")
    values = {name: getattr(run, name) for name in names} | {"modified_by": run.created_by}
    values["input"] = {"value": run.input}
    values |= {"created_at": tx.now, "modified_at": tx.now, "lease_until": tx.now}
    tx.connection.execute(insert(runs).values(**values))
    tx.notify(NOTICE, run.run_id)
    return None


def find(tx: Transaction, run_id: str) -> Run | None:
    row = tx.connection.execute(select(runs).where(runs.c.run_id == run_id)).first()
    return _run(row) if row is not None else None


def listeners(tx: Transaction, run_ids: Sequence[str]) -> list[Listener]:
    """Return those of the runs that have not ended, the oldest first."""
    columns = (runs.c.run_id, runs.c.workflow, runs.c.created_by)
    found: list[Listener] = []
    for first in range(0, len(run_ids), _CHUNK):
        wanted = select(*columns).where(runs.c.run_id.in_(run_ids[first : first + _CHUNK]), _UNENDED)
        found += [Listener(*row) for row in tx.connection.execute(wanted.order_by(runs.c.created_at, runs.c.run_id))]
    return found


def listed(tx: Transaction, *, workflow: str, owner: str | None, status: str | None, limit: int) -> list[Run]:
    """Return the newest runs of a workflow."""
    wanted = select(runs).where(runs.c.workflow == workflow)
    for column, value in ((runs.c.created_by, owner), (runs.c.status, status)):
        if value is not None:
            wanted = wanted.where(column == value)
    return [_run(row) for row in tx.connection.execute(wanted.order_by(runs.c.created_at.desc()).limit(limit))]


def claim(tx: Transaction, holder: str, *, limit: int, lease: float, without: Collection[str] = ()) -> list[Run]:
    """Take runs that nobody holds: new ones, those that waited, and those whose holder did not renew its lease.

    Runs of the owners in `without` are left.
    """
    due = select(runs.c.run_id).where(and_(_UNENDED, runs.c.lease_until <= tx.now))
    if without:
        due = due.where(runs.c.created_by.not_in(list(without)))
    found = tx.connection.execute(
        due.order_by(runs.c.lease_until, runs.c.run_id).limit(limit).with_for_update(skip_locked=True)
    )
    taken: list[Run] = []
    for run_id in list(found.scalars()):
        values: dict[str, Any] = {"holder": holder, "lease_until": tx.now + lease, "epoch": runs.c.epoch + 1}
        values |= {"status": "running", "modified_at": tx.now}
        tx.connection.execute(update(runs).where(runs.c.run_id == run_id).values(**values))
        new = update(runs).where(runs.c.run_id == run_id, runs.c.started_at.is_(None))
        tx.connection.execute(new.values(started_at=tx.now))
        run = find(tx, run_id)
        if run is not None:
            taken.append(run)
    return taken


def wake(tx: Transaction, run_ids: Collection[str]) -> None:
    """Let a replica take those of the runs that are parked. Their rows stay locked until the transaction's end."""
    wanted = select(runs.c.run_id, runs.c.holder).where(runs.c.run_id.in_(list(run_ids)), RUNNING)
    rows = tx.connection.execute(wanted.order_by(runs.c.run_id).with_for_update()).all()
    parked = [row.run_id for row in rows if not row.holder]
    if parked:
        tx.connection.execute(update(runs).where(runs.c.run_id.in_(parked)).values(lease_until=tx.now))
        for run_id in parked:
            tx.notify(NOTICE, run_id)


def renew(tx: Transaction, holder: str, run_ids: Collection[str], *, lease: float) -> set[str]:
    """Renew the leases, and return the runs that this replica still holds."""
    if not run_ids:
        return set()
    mine = (runs.c.run_id.in_(list(run_ids)), runs.c.holder == holder, RUNNING)
    tx.connection.execute(update(runs).where(*mine).values(lease_until=tx.now + lease))
    return set(tx.connection.execute(select(runs.c.run_id).where(*mine)).scalars())


def release(tx: Transaction, holder: str) -> None:
    """Give all runs of a replica to others at once, because it stops."""
    mine = update(runs).where(runs.c.holder == holder, RUNNING)
    tx.connection.execute(mine.values(lease_until=tx.now, holder=""))


def recorded(tx: Transaction, run_id: str, *, after: int = 0, limit: int = 32) -> list[tuple[int, str, Json]]:
    """Return the next records of a run, in the order in which they were written, with their numbers from 1.

    A page is small because one record may be large, and reading it holds the loop.
    """
    wanted = select(steps.c.number, steps.c.step, steps.c.value).where(steps.c.run_id == run_id)
    wanted = wanted.where(steps.c.number > after).order_by(steps.c.number).limit(limit)
    return [(row.number, row.step, row.value) for row in tx.connection.execute(wanted)]


def record(tx: Transaction, run: Run, step: str, value: Json, *, size: int, most: int, largest: int) -> None:
    """Write what a step came to. Raises LostRunError, TooManyError, TooLargeError; then nothing is written."""
    counted = (
        _held(run)
        .values(steps=runs.c.steps + 1, size=runs.c.size + size, modified_at=tx.now)
        .returning(runs.c.steps, runs.c.size)
    )
    row = tx.connection.execute(counted).first()
    if row is None:
        raise LostRunError(run.run_id)
    if row.steps > most:
        raise TooManyError(run.run_id)
    if row.size > largest:
        raise TooLargeError(row.size, largest)
    made = insert(steps).values(run_id=run.run_id, step=step, number=row.steps, value=value, created_at=tx.now)
    tx.connection.execute(made)


def finish(tx: Transaction, run: Run, status: str, *, output: Any, error: Json | None) -> bool:
    """End a run; False if another replica holds it, or it has ended."""
    values = {"status": status, "output": {"value": output}, "completed_at": tx.now, "modified_at": tx.now}
    if error is not None:
        values["error"] = error
    done = tx.connection.execute(_held(run).values(**values)).rowcount > 0
    if done:
        tx.notify(NOTICE, run.run_id)
    return done


def cancel(tx: Transaction, run_id: str, by: str) -> tuple[Run, bool] | None:
    """Return the run, and whether it was cancelled now; None if there is no such run."""
    values = {"status": "cancelled", "completed_at": tx.now, "modified_at": tx.now, "modified_by": by}
    done = tx.connection.execute(update(runs).where(runs.c.run_id == run_id, _UNENDED).values(**values)).rowcount > 0
    if done:
        tx.notify(NOTICE, run_id)
    run = find(tx, run_id)
    return (run, done) if run is not None else None


def prune(tx: Transaction, *, before: float, limit: int) -> list[str]:
    """Delete runs that ended before then, with their records, and return their ids."""
    old = select(runs.c.run_id).where(runs.c.completed_at < before).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    if ids:
        tx.connection.execute(steps.delete().where(steps.c.run_id.in_(ids)))
        tx.connection.execute(runs.delete().where(runs.c.run_id.in_(ids)))
    return ids


def counts(tx: Transaction) -> dict[str, int]:
    found = select(runs.c.status, func.count()).group_by(runs.c.status)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def _held(run: Run) -> Any:
    return update(runs).where(
        runs.c.run_id == run.run_id, runs.c.holder == run.holder, runs.c.epoch == run.epoch, RUNNING
    )


def _workflow(row: Any) -> Workflow:
    return Workflow(**{name: getattr(row, name) for name in Workflow.__slots__})


def _run(row: Any) -> Run:
    values = {name: getattr(row, name) for name in Run.__slots__}
    return Run(**values | {name: (values[name] or {}).get("value") for name in ("input", "output")})
