"""Push configurations in SQLite. All functions that write run in the single writing thread."""

from typing import Any

from sqlalchemy import Connection, Select, case, delete, select, text, update
from sqlalchemy.dialects.sqlite import insert

from lambdaagent.store import rows
from lambdaagent.store.errors import TaskConflictError
from lambdaagent.store.records import Push
from lambdaagent.store.sealing import Sealing
from lambdaagent.store.sqlite.schema import pushes, tasks

_FOUND = select(*(pushes.c[name] for name in rows.PUSH), *(tasks.c[name] for name in rows.TENANT)).join(
    tasks, tasks.c.id == pushes.c.task_id
)
# Never claimed again: the task has ended and all its updates have arrived.
_DONE = case((tasks.c.settled == 2, 1), else_=0)


def put(connection: Connection, push: Push, *, sealing: Sealing) -> None:
    """Write or replace a configuration, but keep `sent`. Raises TaskConflictError if there is no such task."""
    found = connection.execute(
        select(*(tasks.c[name] for name in rows.TENANT)).where(tasks.c.id == push.task_id)
    ).first()
    if found is None:
        raise TaskConflictError(f"task {push.task_id} no longer exists")
    row = rows.push_row(push, tenant=(found.namespace, found.agent, found.owner), sealing=sealing)
    values = dict(zip(rows.PUSH, row, strict=True))
    kept = {name: value for name, value in values.items() if name not in ("task_id", "id", "sent")}
    statement = insert(pushes).values(values | {"done": 0})
    connection.execute(statement.on_conflict_do_update(index_elements=["task_id", "id"], set_=kept | {"done": 0}))


def of(connection: Connection, task_id: str, *, sealing: Sealing) -> list[Push]:
    wanted = _FOUND.where(pushes.c.task_id == task_id).order_by(pushes.c.number)
    return [rows.push_of(row, sealing=sealing) for row in connection.execute(wanted)]


def drop(connection: Connection, task_id: str, push_id: str) -> bool:
    return connection.execute(delete(pushes).where(pushes.c.task_id == task_id, pushes.c.id == push_id)).rowcount > 0


def any_due(connection: Connection, now: float) -> bool:
    return connection.execute(_due(now, limit=1)).first() is not None


def claim(connection: Connection, now: float, *, until: float, limit: int, sealing: Sealing) -> list[Push]:
    found = [rows.push_of(row, sealing=sealing) for row in connection.execute(_due(now, limit=limit))]
    for push in found:
        connection.execute(
            update(pushes).where(pushes.c.task_id == push.task_id, pushes.c.id == push.id).values(due=until)
        )
    return found


def _due(now: float, *, limit: int) -> Select[Any]:
    behind = _FOUND.where(text("dead = '' AND done = 0"), pushes.c.due <= now, pushes.c.sent < tasks.c.version)
    return behind.order_by(pushes.c.due, pushes.c.number).limit(limit)


def settle(connection: Connection, push: Push) -> None:
    done = select(_DONE).where(tasks.c.id == push.task_id, tasks.c.version <= push.sent).scalar_subquery()
    connection.execute(
        update(pushes)
        .where(pushes.c.task_id == push.task_id, pushes.c.id == push.id)
        .values(
            sent=push.sent,
            attempts=push.attempts,
            due=push.due,
            dead=push.dead,
            done=case((done.is_(None), 0), else_=done),
        )
    )
