"""The table of sessions, with the columns of requirement 001. The column `context` names the session's context."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Index, String, Table, false, func, insert, not_, select, text
from sqlalchemy import update as change_of

from lambdaagent.coordination.refusals import ClosedError, IdInUseError, TooManyError
from lambdaagent.coordination.session import FINAL, Session
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.messages import messages
from lambdaagent.store.coordination.tables import Document, Time, metadata

sessions = Table(
    "a2a_sessions",
    metadata,
    Column("session_id", String(255), primary_key=True),
    Column("initiator_agent_id", String(512), nullable=False),
    Column("participant_agent_ids", Document, nullable=False, server_default=text("'[]'")),
    Column("session_type", String(50), nullable=False, server_default="standard"),
    Column("status", String(50), nullable=False, server_default="active"),
    Column("context", Document, nullable=False, server_default=text("'{}'")),
    Column("metadata", Document, nullable=False, server_default=text("'{}'")),
    Column("started_at", Time, nullable=False, server_default=func.now()),
    Column("ended_at", Time),
    Column("last_activity_at", Time, nullable=False, server_default=func.now()),
    Column("created_by", String(512), nullable=False, server_default="system"),
    Column("is_deleted", Boolean, nullable=False, server_default=false()),
    CheckConstraint("status IN ('active', 'paused', 'completed', 'terminated')", name="a2a_sessions_status"),
)
_KEPT = not_(sessions.c.is_deleted)
Index("idx_a2a_sessions_status", sessions.c.status, postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_sessions_initiator", sessions.c.initiator_agent_id, postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_sessions_participants", sessions.c.participant_agent_ids, postgresql_using="gin")
Index("idx_a2a_sessions_owner", sessions.c.created_by, sessions.c.started_at)


def start(tx: Transaction, session: Session, *, most: int) -> Session:
    """Raises IdInUseError, also for the id of others' conversation; TooManyError if the owner has `most` sessions."""
    known = select(sessions.c.session_id).where(sessions.c.session_id == session.session_id)
    others = select(messages.c.message_id).where(
        messages.c.session_id == session.session_id, messages.c.created_by != session.created_by
    )  # of a conversation, which a session would end for those who take no part
    if tx.connection.execute(known).first() is not None or tx.connection.execute(others.limit(1)).first() is not None:
        raise IdInUseError(session.session_id)
    mine = select(func.count()).select_from(sessions)
    mine = mine.where(sessions.c.created_by == session.created_by, sessions.c.status.not_in(FINAL))
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(session.created_by)
    values = {name: getattr(session, name) for name in Session.__slots__}
    values |= {"participant_agent_ids": list(session.participant_agent_ids), "started_at": tx.now}
    values |= {"last_activity_at": tx.now, "context": {"context_id": session.session_id}}
    tx.connection.execute(insert(sessions).values(**values))
    return _found(tx, session.session_id)


def find(tx: Transaction, session_id: str) -> Session | None:
    row = tx.connection.execute(select(sessions).where(sessions.c.session_id == session_id, _KEPT)).first()
    return _of(row) if row is not None else None


def listed(tx: Transaction, *, owner: str | None, limit: int) -> list[Session]:
    wanted = select(sessions).where(_KEPT)
    if owner is not None:
        wanted = wanted.where(sessions.c.created_by == owner)
    return [_of(row) for row in tx.connection.execute(wanted.order_by(sessions.c.started_at.desc()).limit(limit))]


def change(
    tx: Transaction, session_id: str, *, status: str | None, participants: Sequence[str] | None, **more: Any
) -> tuple[Session, bool] | None:
    """Return the session, and whether it ended by this; None if there is none. Raises ClosedError if it had ended."""
    locked = select(sessions).where(sessions.c.session_id == session_id, _KEPT).with_for_update()
    row = tx.connection.execute(locked).first()
    if row is None:
        return None
    if row.status in FINAL:
        raise ClosedError(row.status)
    values: dict[str, Any] = {"last_activity_at": tx.now, **more}
    if participants is not None:
        values["participant_agent_ids"] = list(participants)
    if status is not None:
        values |= {"status": status, "ended_at": tx.now if status in FINAL else None}
    tx.connection.execute(change_of(sessions).where(sessions.c.session_id == session_id).values(**values))
    return _found(tx, session_id), status in FINAL


def touch(tx: Transaction, session_id: str) -> None:
    """Record that something happened in the session."""
    seen = change_of(sessions).where(sessions.c.session_id == session_id)
    tx.connection.execute(seen.values(last_activity_at=tx.now))


def prune(tx: Transaction, *, before: float, limit: int) -> int:
    """Delete sessions that ended before then."""
    old = select(sessions.c.session_id).where(sessions.c.ended_at < before).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    if ids:
        tx.connection.execute(sessions.delete().where(sessions.c.session_id.in_(ids)))
    return len(ids)


def counts(tx: Transaction) -> dict[str, int]:
    found = select(sessions.c.status, func.count()).where(_KEPT).group_by(sessions.c.status)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def _found(tx: Transaction, session_id: str) -> Session:
    found = find(tx, session_id)
    if found is None:
        raise AssertionError("it was just written")
    return found


def _of(row: Any) -> Session:
    return Session(**{name: getattr(row, name) for name in Session.__slots__})
