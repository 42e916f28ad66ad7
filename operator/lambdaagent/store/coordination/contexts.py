"""The tables of shared contexts, and of the log of their changes. A change locks the context's row."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from lambdaagent.a2a import Json
from lambdaagent.coordination.context import KEPT, Context, Delta, changes, delta
from lambdaagent.coordination.refusals import IdInUseError, TooManyError, VersionError
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.sealed_documents import opened, sealed
from lambdaagent.store.coordination.tables import Document, Time, metadata

NOTICE = "context"
contexts = Table(
    "a2a_contexts",
    metadata,
    Column("context_id", String(255), primary_key=True),
    Column("data", Document, nullable=False),
    Column("version", Integer, nullable=False),
    Column("participants", Document, nullable=False, server_default=text("'[]'")),
    Column("strategies", Document, nullable=False, server_default=text("'{}'")),
    Column("ttl_seconds", Integer, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("modified_at", Time, nullable=False, server_default=func.now()),
    Column("created_by", String(512), nullable=False),
    Column("modified_by", String(512), nullable=False),
)
Index("idx_a2a_contexts_expiry", contexts.c.expires_at)
Index("idx_a2a_contexts_owner", contexts.c.created_by)

deltas = Table(
    "a2a_context_deltas",
    metadata,
    Column("context_id", String(255), ForeignKey("a2a_contexts.context_id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("patch", Document, nullable=False),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("created_by", String(512), nullable=False),
)


def create(
    tx: Transaction,
    context_id: str,
    data: Json,
    *,
    participants: Sequence[str],
    strategies: dict[str, str],
    ttl: int,
    by: str,
    most: int,
) -> Context:
    """Raises IdInUseError, TooManyError if the owner has `most` contexts."""
    known = _locked(tx, context_id)
    if known is not None and known.expires_at > tx.now:
        raise IdInUseError(context_id)
    if known is not None:
        drop(tx, context_id)
    mine = select(func.count()).select_from(contexts).where(contexts.c.created_by == by)
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(by)
    context = Context(
        context_id=context_id,
        data=data,
        version=1,
        participants=list(participants),
        strategies=strategies,
        ttl_seconds=ttl,
        expires_at=tx.now + ttl,
        created_at=tx.now,
        modified_at=tx.now,
        created_by=by,
        modified_by=by,
    )
    values = {name: getattr(context, name) for name in Context.__slots__} | {"data": _sealed(tx, context_id, data)}
    tx.connection.execute(insert(contexts).values(values))
    _log(tx, context, delta({}, data))
    return context


def find(tx: Transaction, context_id: str) -> Context | None:
    row = tx.connection.execute(select(contexts).where(contexts.c.context_id == context_id)).first()
    return _of(tx, row) if row is not None and row.expires_at > tx.now else None


def listed(tx: Transaction, *, owner: str, limit: int) -> list[Context]:
    """Return the contexts of an owner, those that were changed last first."""
    mine = select(contexts).where(contexts.c.created_by == owner, contexts.c.expires_at > tx.now)
    newest = mine.order_by(contexts.c.modified_at.desc(), contexts.c.context_id).limit(limit)
    return [_of(tx, row) for row in tx.connection.execute(newest)]


def change(
    tx: Transaction,
    context_id: str,
    change_of: Callable[[Context], Json],
    *,
    by: str,
    expected: int | None = None,
    may: Callable[[Context], bool] = lambda _: True,
) -> Context | None:
    """Return the context with the data that `change_of` makes of it; None if it is not there, or `may` denies it.

    Raises VersionError if its version is not `expected`, and what `change_of` raises.
    """
    row = _locked(tx, context_id)
    if row is None or row.expires_at <= tx.now:
        return None
    before = _of(tx, row)
    if not may(before):
        return None
    if expected is not None and before.version != expected:
        raise VersionError(before.version)
    data = change_of(before)
    patch = changes(before.data, data)
    values: dict[str, Any] = {"expires_at": tx.now + before.ttl_seconds}
    if patch:
        values |= {
            "data": _sealed(tx, context_id, data),
            "version": before.version + 1,
            "modified_at": tx.now,
            "modified_by": by,
        }
    tx.connection.execute(update(contexts).where(contexts.c.context_id == context_id).values(**values))
    found = find(tx, context_id)
    if found is None or not patch:
        return found
    _log(tx, found, patch)
    return found


def settle(tx: Transaction, context_id: str, **values: Any) -> Context | None:
    """Change who takes part, the strategies or the time to live."""
    if ttl := values.get("ttl_seconds"):
        values["expires_at"] = tx.now + ttl
    if values:
        tx.connection.execute(update(contexts).where(contexts.c.context_id == context_id).values(**values))
    return find(tx, context_id)


def log(tx: Transaction, context_id: str, *, since: int, limit: int) -> list[Delta]:
    """Return the changes after a version, the oldest first."""
    wanted = select(deltas).where(deltas.c.context_id == context_id, deltas.c.version > since)
    rows = tx.connection.execute(wanted.order_by(deltas.c.version).limit(limit))
    return [
        Delta(
            row.version,
            opened(tx.sealing, row.patch, "a2a_context_deltas", "patch", context_id, row.version),
            row.created_at,
            row.created_by,
        )
        for row in rows
    ]


def drop(tx: Transaction, context_id: str) -> bool:
    tx.connection.execute(delete(deltas).where(deltas.c.context_id == context_id))
    tx.notify(NOTICE, context_id)
    return tx.connection.execute(delete(contexts).where(contexts.c.context_id == context_id)).rowcount > 0


def prune(tx: Transaction, *, limit: int) -> int:
    """Delete contexts whose time is over."""
    late = select(contexts.c.context_id).where(contexts.c.expires_at <= tx.now).limit(limit)
    ids = list(tx.connection.execute(late.with_for_update(skip_locked=True)).scalars())
    return sum(drop(tx, each) for each in ids)


def count(tx: Transaction) -> int:
    return int(tx.connection.execute(select(func.count()).select_from(contexts)).scalar_one())


def _log(tx: Transaction, context: Context, patch: list[Json]) -> None:
    where = ("a2a_context_deltas", "patch", context.context_id, context.version)
    stored = sealed(tx.sealing, patch, *where)
    values = {"context_id": context.context_id, "version": context.version, "patch": stored}
    tx.connection.execute(insert(deltas).values(**values, created_at=tx.now, created_by=context.modified_by))
    if context.version > KEPT:
        old = deltas.c.version <= context.version - KEPT
        tx.connection.execute(delete(deltas).where(deltas.c.context_id == context.context_id, old))
    tx.notify(NOTICE, context.context_id)


def _locked(tx: Transaction, context_id: str) -> Any:
    return tx.connection.execute(select(contexts).where(contexts.c.context_id == context_id).with_for_update()).first()


def _sealed(tx: Transaction, context_id: str, data: Json) -> Any:
    return sealed(tx.sealing, data, "a2a_contexts", "data", context_id)


def _of(tx: Transaction, row: Any) -> Context:
    values = {name: getattr(row, name) for name in Context.__slots__}
    return Context(**values | {"data": opened(tx.sealing, row.data, "a2a_contexts", "data", row.context_id)})
