"""The table of registered agents: agents elsewhere, which no resource in the cluster describes.

An agent is inactive after it missed three heartbeats. It is deleted by its owner only, and its row then stays, marked,
so that its id is never given to another owner.
"""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    case,
    func,
    insert,
    literal,
    not_,
    select,
    text,
    update,
)

from lambdaagent.coordination.registered_agent import MISSED, IdTakenError, RegisteredAgent, TooManyAgentsError
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.tables import Document, Time, common, metadata

NOTICE = "agent"

agents = Table(
    "a2a_agents",
    metadata,
    Column("agent_id", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("endpoint_url", String(500), nullable=False, server_default=""),
    Column("capabilities", Document, nullable=False, server_default=text("'[]'")),
    Column("agent_card", Document, nullable=False, server_default=text("'{}'")),
    Column("status", String(50), nullable=False, server_default="active"),
    Column("last_heartbeat", Time),
    *common(),
    Column("protocol", String(20), nullable=False),
    Column("version", String(64), nullable=False, server_default=""),
    Column("access", Document, nullable=False, server_default=text("'{}'")),
    Column("label", String(63), nullable=False),  # its name in the gateway's paths
    Column("ttl_seconds", Integer, nullable=False),
    Column("expires_at", Time, nullable=False),  # it is inactive from then on
    Column("load", Double, nullable=False, server_default="0"),
    Column("card_place", String(2048), nullable=False, server_default=""),
    Column("card_etag", String(512), nullable=False, server_default=""),
    Column("card_checked_at", Time, nullable=False, server_default=text("'epoch'")),
    Column("card_problem", Text, nullable=False, server_default=""),
    CheckConstraint("status IN ('active', 'inactive', 'suspended')", name="a2a_agents_status"),
)
_KEPT = not_(agents.c.is_deleted)
_ACTIVE = and_(agents.c.status == text("'active'"), _KEPT)
Index("idx_a2a_agents_status", agents.c.status, postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_agents_expiry", agents.c.expires_at, postgresql_where=_ACTIVE, sqlite_where=_ACTIVE)
Index("idx_a2a_agents_capabilities", agents.c.capabilities, postgresql_using="gin")
Index("idx_a2a_agents_label", agents.c.label, unique=True)
Index("idx_a2a_agents_owner", agents.c.created_by, postgresql_where=_KEPT, sqlite_where=_KEPT)
Index("idx_a2a_agents_card", agents.c.card_checked_at, postgresql_where=_KEPT, sqlite_where=_KEPT)


_NAMES = tuple(each.name for each in fields(RegisteredAgent))
_COLUMNS = tuple(agents.c[name] for name in _NAMES)
_SELECTED = select(*_COLUMNS)


def find(tx: Transaction, agent_id: str) -> RegisteredAgent | None:
    row = tx.connection.execute(_SELECTED.where(agents.c.agent_id == agent_id, _KEPT)).first()
    return _agent(row) if row is not None else None


def every(tx: Transaction, *, after: str, limit: int) -> list[RegisteredAgent]:
    """Return the next agents in the order of their ids."""
    wanted = _SELECTED.where(_KEPT, agents.c.agent_id > after).order_by(agents.c.agent_id).limit(limit)
    return [_agent(row) for row in tx.connection.execute(wanted)]


def same(tx: Transaction, owner: str, name: str, endpoint_url: str) -> RegisteredAgent | None:
    """Return the owner's agent of this name at this endpoint: who registers it again without an id means this one."""
    wanted = _SELECTED.where(
        agents.c.created_by == owner, agents.c.name == name, agents.c.endpoint_url == endpoint_url, _KEPT
    )
    row = tx.connection.execute(wanted.order_by(agents.c.agent_id)).first()
    return _agent(row) if row is not None else None


def put(tx: Transaction, agent: RegisteredAgent, *, most: int) -> bool:
    """Write the agent, and return whether it is new. What registration does not know (status, load) is kept.

    Raises IdTakenError, TooManyAgentsError.
    """
    row = tx.connection.execute(
        select(agents.c.created_by, agents.c.is_deleted).where(agents.c.agent_id == agent.agent_id).with_for_update()
    ).first()
    if row is not None and row.created_by != agent.created_by:
        raise IdTakenError(agent.agent_id)
    values = _values(agent) | {"modified_at": tx.now, "last_heartbeat": tx.now, "is_deleted": False}
    values["expires_at"] = tx.now + MISSED * agent.ttl_seconds
    if row is None or row.is_deleted:
        mine = select(func.count()).select_from(agents).where(agents.c.created_by == agent.created_by, _KEPT)
        if tx.connection.execute(mine).scalar_one() >= most:
            raise TooManyAgentsError(agent.created_by)
        values |= {"created_at": tx.now, "status": "active"}
    else:
        for kept in ("created_at", "load", "label"):
            del values[kept]
        values["status"] = case((agents.c.status == "inactive", "active"), else_=agents.c.status)
    if row is None:
        tx.connection.execute(insert(agents).values(**values))
    else:
        tx.connection.execute(update(agents).where(agents.c.agent_id == agent.agent_id).values(**values))
    tx.notify(NOTICE, agent.agent_id)
    return row is None or bool(row.is_deleted)


def change(tx: Transaction, agent_id: str, by: str, **values: Any) -> RegisteredAgent | None:
    """Change columns of the agent, and return it; None if it is not there."""
    values |= {"modified_at": tx.now, "modified_by": by}
    changed = update(agents).where(agents.c.agent_id == agent_id, _KEPT).values(**values)
    if not tx.connection.execute(changed).rowcount:
        return None
    tx.notify(NOTICE, agent_id)
    return find(tx, agent_id)


def beat(
    tx: Transaction, agent_id: str, *, load: float | None, ttl_seconds: int | None
) -> tuple[RegisteredAgent, bool] | None:
    """Record a sign of life: the agent, and whether it became active by it. None if it is not there.

    A suspended agent stays suspended.
    """
    values: dict[str, Any] = {"last_heartbeat": tx.now}
    if load is not None:
        values["load"] = load
    if ttl_seconds is not None:
        values["ttl_seconds"] = ttl_seconds
    alive = update(agents).where(agents.c.agent_id == agent_id, _KEPT).returning(*_COLUMNS)
    usual = alive.where(agents.c.status != "inactive").values(**values, expires_at=_expiry(tx, ttl_seconds))
    row = tx.connection.execute(usual).first()
    if row is not None:
        return _agent(row), False
    revived = alive.where(agents.c.status == "inactive")
    values |= {"status": "active", "modified_at": tx.now, "expires_at": _expiry(tx, ttl_seconds)}
    row = tx.connection.execute(revived.values(**values)).first()
    if row is None:
        return None
    tx.notify(NOTICE, agent_id)
    return _agent(row), True


def expire(tx: Transaction, *, limit: int) -> list[RegisteredAgent]:
    """Mark agents inactive that missed their heartbeats, and return them. Of several replicas one gets each agent."""
    due = (
        select(agents.c.agent_id)
        .where(_ACTIVE, agents.c.expires_at < tx.now)
        .order_by(agents.c.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    late = list(tx.connection.execute(due).scalars())
    if not late:
        return []
    marked = update(agents).where(agents.c.agent_id.in_(late), _ACTIVE).returning(*_COLUMNS)
    found = [_agent(row) for row in tx.connection.execute(marked.values(status="inactive", modified_at=tx.now))]
    for agent in found:
        tx.notify(NOTICE, agent.agent_id)
    return found


def claim_cards(tx: Transaction, *, older_than: float, limit: int) -> list[RegisteredAgent]:
    """Return agents whose card was last fetched before then; no other replica gets them for now."""
    due = (
        select(agents.c.agent_id)
        .where(_KEPT, agents.c.endpoint_url != "", agents.c.card_checked_at < older_than)
        .order_by(agents.c.card_checked_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = [row.agent_id for row in tx.connection.execute(due)]
    if not ids:
        return []
    tx.connection.execute(update(agents).where(agents.c.agent_id.in_(ids)).values(card_checked_at=tx.now))
    return [_agent(row) for row in tx.connection.execute(_SELECTED.where(agents.c.agent_id.in_(ids)))]


def delete(tx: Transaction, agent_id: str, by: str) -> bool:
    gone = update(agents).where(agents.c.agent_id == agent_id, _KEPT)
    values = {"is_deleted": True, "modified_at": tx.now, "modified_by": by}
    if not tx.connection.execute(gone.values(**values)).rowcount:
        return False
    tx.notify(NOTICE, agent_id)
    return True


def counts(tx: Transaction) -> dict[str, int]:
    """Return the number of agents by status."""
    found = select(agents.c.status, func.count()).where(_KEPT).group_by(agents.c.status)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def _expiry(tx: Transaction, ttl_seconds: int | None) -> Any:
    """Return the time of a third missed heartbeat. The unit of the column decides how seconds are added to it."""
    if ttl_seconds is not None:
        return tx.now + MISSED * ttl_seconds
    seconds = MISSED * agents.c.ttl_seconds
    if tx.connection.dialect.name != "postgresql":
        return literal(tx.now, Double) + seconds
    return literal(tx.now, Time) + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def _values(agent: RegisteredAgent) -> dict[str, Any]:
    return {name: getattr(agent, name) for name in _NAMES} | {"modified_by": agent.created_by}


def _agent(row: Any) -> RegisteredAgent:
    values: Sequence[tuple[str, Any]] = [(name, row._mapping[name]) for name in _NAMES]
    return RegisteredAgent(**{name: value for name, value in values if value is not None})
