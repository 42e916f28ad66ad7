"""The tables of messages, of their deliveries to each receiver, and of subscriptions to topics.

A message is accepted when it is committed together with a delivery for each receiver. From then on each delivery ends
in exactly one of acknowledged, failed or expired; until then it comes again. The receiver's response acknowledges what
the gateway sends itself. A lease keeps two replicas, or two readers of a mailbox, from taking one delivery at once.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)

from lambdaagent import shares
from lambdaagent.a2a import Json
from lambdaagent.coordination.deliveries import Accepted, Addressed, Delivery, State
from lambdaagent.coordination.message import Message, derived_id
from lambdaagent.coordination.refusals import OtherMessageError, QueueFullError
from lambdaagent.coordination.workflow import RUN
from lambdaagent.store.coordination import workflows
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.sealed_documents import opened, sealed
from lambdaagent.store.coordination.tables import Document, Time, metadata

MAIL = "mail"
"""The kind of the notice that a receiver has something in its mailbox."""
_CHUNK = 200  # rows of one statement: the loop has turns in between
_PAGE_BYTES = 1024 * 1024
"""Bytes of contents after which a mailbox's page ends."""
_MOST_CONFIRMATIONS = 100_000  # in a mailbox: they are no fault of whoever has it

messages = Table(
    "a2a_messages",
    metadata,
    Column("message_id", String(255), primary_key=True),
    Column("session_id", String(255), nullable=False),
    Column("sender_agent_id", String(512)),
    Column("receiver_agent_id", String(512)),  # null: several
    Column("message_type", String(50), nullable=False),
    Column("protocol_version", String(20), nullable=False, server_default="2.0"),
    Column("content", Document, nullable=False),
    Column("status", String(50), nullable=False, server_default="sent"),
    Column("error_details", Document),
    Column("metadata", Document, nullable=False, server_default=text("'{}'")),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("delivered_at", Time),
    Column("acknowledged_at", Time),
    Column("form", String(8), nullable=False),
    Column("address", Document, nullable=False),  # the receivers as the sender named them
    Column("priority", Integer, nullable=False),
    Column("ttl_seconds", Integer, nullable=False),
    Column("expires_at", Time, nullable=False),
    Column("confirmation", String(16), nullable=False),
    Column("skill", String(255), nullable=False, server_default=""),
    Column("correlation_id", String(255), nullable=False, server_default=""),
    Column("causation_id", String(255), nullable=False, server_default=""),
    Column("hops", Integer, nullable=False),
    Column("sequence_id", BigInteger, nullable=False, server_default="0"),
    Column("size", Integer, nullable=False),  # bytes of its content
    Column("digest", String(64), nullable=False),
    Column("created_by", String(512), nullable=False),
    CheckConstraint("message_type IN ('request', 'response', 'notification', 'error')", name="a2a_messages_type"),
    CheckConstraint("status IN ('sent', 'delivered', 'acknowledged', 'failed')", name="a2a_messages_status"),
)
Index("idx_a2a_messages_session", messages.c.session_id)
Index("idx_a2a_messages_sender", messages.c.sender_agent_id)
Index("idx_a2a_messages_receiver", messages.c.receiver_agent_id)
Index("idx_a2a_messages_created", messages.c.created_at.desc())

deliveries = Table(
    "a2a_deliveries",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("message_id", String(255), ForeignKey("a2a_messages.message_id", ondelete="CASCADE"), nullable=False),
    Column("receiver", String(512), nullable=False),
    Column("via", String(16), nullable=False),  # `mailbox`: the receiver fetches it; else the gateway sends it
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due", Time, nullable=False),  # nobody takes it before
    Column("expires_at", Time, nullable=False),
    Column("delivered_at", Time),
    Column("acknowledged_at", Time),
    Column("error", Text, nullable=False, server_default=""),
    CheckConstraint(
        "state IN ('queued', 'delivered', 'acknowledged', 'failed', 'expired')", name="a2a_deliveries_state"
    ),
)
_QUEUED = deliveries.c.state == text("'queued'")
OPEN = or_(_QUEUED, deliveries.c.state == text("'delivered'"))
Index("idx_a2a_deliveries_message", deliveries.c.message_id, deliveries.c.receiver, unique=True)
Index("idx_a2a_deliveries_open", deliveries.c.receiver, deliveries.c.priority.desc(), deliveries.c.number,
      postgresql_where=OPEN, sqlite_where=OPEN)  # fmt: skip
Index("idx_a2a_deliveries_due", deliveries.c.due, postgresql_where=_QUEUED, sqlite_where=_QUEUED)
Index("idx_a2a_deliveries_expiry", deliveries.c.expires_at, postgresql_where=OPEN, sqlite_where=OPEN)

subscriptions = Table(
    "a2a_subscriptions",
    metadata,
    Column("subscription_id", String(64), primary_key=True),
    Column("agent_id", String(255), nullable=False),
    Column("topic", String(255), nullable=False),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("created_by", String(512), nullable=False),
)
Index("idx_a2a_subscriptions_topic", subscriptions.c.topic, subscriptions.c.agent_id, unique=True)
Index("idx_a2a_subscriptions_agent", subscriptions.c.agent_id)


def put(
    tx: Transaction, message: Message, receivers: Sequence[Addressed], *, by: str, most: int, lease: float
) -> Accepted:
    """Write the message, with a delivery for each receiver that has fewer than `most` open ones.

    Deliveries that the gateway sends itself are leased to the caller. Raises OtherMessageError, QueueFullError.
    """
    known = tx.connection.execute(
        select(messages.c.digest, messages.c.created_by).where(messages.c.message_id == message.id)
    ).first()
    if known is not None:
        if (known.digest, known.created_by) != (message.digest, by):
            raise OtherMessageError(message.id)
        return Accepted(message, again=True)
    full = _full(tx, [each.agent_id for each in receivers], most=most, by=by)
    taken = [each for each in receivers if each.agent_id not in full]
    if receivers and not taken:
        raise QueueFullError(full)
    expires = tx.now + message.ttl
    tx.connection.execute(insert(messages).values(**_row(tx, message, expires, by)))
    if taken:
        rows = [
            {
                "message_id": message.id,
                "receiver": each.agent_id,
                "via": each.via,
                "state": "queued",
                "priority": message.priority,
                "due": tx.now if each.via == "mailbox" else tx.now + lease,
                "expires_at": expires,
            }
            for each in taken
        ]
        for first in range(0, len(rows), _CHUNK):
            tx.connection.execute(insert(deliveries), rows[first : first + _CHUNK])
    for each in taken:
        if each.via == "mailbox":
            tx.notify(MAIL, each.agent_id)
    if listening := [each.agent_id for each in taken if each.agent_id.startswith(RUN)]:
        workflows.wake(tx, listening)
    return Accepted(message, full=sorted(full), receivers=[each.agent_id for each in taken])


def claim(tx: Transaction, *, limit: int, lease: float, without: Collection[str] = ()) -> list[Delivery]:
    """Lease deliveries that the gateway sends and that are due: those of a replica that ended, and repetitions.

    Those to the receivers in `without` are left.
    """
    due = (
        select(deliveries.c.number)
        .where(_QUEUED, deliveries.c.via != "mailbox", deliveries.c.due <= tx.now, deliveries.c.expires_at > tx.now)
        .where(deliveries.c.receiver.not_in(list(without)))
        .order_by(deliveries.c.due)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return _leased(tx, list(tx.connection.execute(due).scalars()), lease=lease)


def fetch(tx: Transaction, receiver: str, *, limit: int, lease: float) -> list[Delivery]:
    """Lease what is in the mailbox, the most urgent first. It comes again after the lease until it is acknowledged."""
    due = (
        select(deliveries.c.number, messages.c.size)
        .join(messages, messages.c.message_id == deliveries.c.message_id)
        .where(
            OPEN,
            deliveries.c.receiver == receiver,
            deliveries.c.via == "mailbox",
            deliveries.c.due <= tx.now,
            deliveries.c.expires_at > tx.now,
        )
        .order_by(deliveries.c.priority.desc(), deliveries.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True, of=deliveries)
    )
    numbers: list[int] = []
    total = 0
    for row in tx.connection.execute(due):
        total += row.size
        if numbers and total > _PAGE_BYTES:
            break
        numbers.append(row.number)
    found = _leased(tx, numbers, lease=lease)
    first = update(deliveries).where(deliveries.c.number.in_(numbers), _QUEUED)
    if numbers and tx.connection.execute(first.values(state="delivered", delivered_at=tx.now)).rowcount:
        for each in found:
            if each.state == "queued":
                _told(tx, each.message, each.receiver, "delivered")
    return found


def settle(tx: Transaction, message_id: str, receiver: str, state: str, *, error: str = "") -> bool:
    """End a delivery, or mark it as delivered; False if it had ended before."""
    times = {"delivered_at": func.coalesce(deliveries.c.delivered_at, _at(tx))} if state != "failed" else {}
    if state == "acknowledged":
        times["acknowledged_at"] = _at(tx)
    ended = update(deliveries).where(
        deliveries.c.message_id == message_id, deliveries.c.receiver == receiver, OPEN, deliveries.c.state != state
    )
    if not tx.connection.execute(ended.values(state=state, error=error, **times)).rowcount:
        return False
    message = _message(tx, message_id)
    if message is not None:
        _told(tx, message, receiver, state)
    return True


def retry(tx: Transaction, message_id: str, receiver: str, *, after: float, error: str) -> None:
    again = update(deliveries).where(deliveries.c.message_id == message_id, deliveries.c.receiver == receiver, _QUEUED)
    tx.connection.execute(again.values(due=tx.now + after, error=error))


def find(tx: Transaction, message_id: str) -> State | None:
    row = tx.connection.execute(select(messages).where(messages.c.message_id == message_id)).first()
    if row is None:
        return None
    found = select(deliveries.c.receiver, deliveries.c.state, deliveries.c.error).where(
        deliveries.c.message_id == message_id
    )
    states = [
        (each.receiver, each.state, each.error) for each in tx.connection.execute(found.order_by(deliveries.c.number))
    ]
    return State(_of(tx, row), row.created_at, row.created_by, row.status, states)


def expire(tx: Transaction, *, limit: int) -> int:
    """End deliveries whose message is too old."""
    late = (
        select(deliveries.c.message_id, deliveries.c.receiver)
        .where(OPEN, deliveries.c.expires_at <= tx.now)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = tx.connection.execute(late).all()
    return sum(settle(tx, row.message_id, row.receiver, "expired", error="its time to live is over") for row in rows)


def prune(tx: Transaction, *, before: float, limit: int) -> int:
    """Delete messages that were created before then and have no open delivery."""
    is_open = select(deliveries.c.number).where(deliveries.c.message_id == messages.c.message_id, OPEN).exists()
    old = select(messages.c.message_id).where(messages.c.created_at < before, ~is_open).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    if ids:
        tx.connection.execute(delete(deliveries).where(deliveries.c.message_id.in_(ids)))
        tx.connection.execute(delete(messages).where(messages.c.message_id.in_(ids)))
    return len(ids)


def depths(tx: Transaction) -> dict[str, int]:
    """Return the number of deliveries by state, of those that are open."""
    found = select(deliveries.c.state, func.count()).where(OPEN).group_by(deliveries.c.state)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def answers(tx: Transaction, correlation: str, *, sender: str, receiver: str) -> bool:
    """Return whether `receiver` sent the message of this id to `sender`, who may thus answer it."""
    was_sent = select(deliveries.c.number).where(
        deliveries.c.message_id == correlation, deliveries.c.receiver == sender
    )
    asked = select(messages.c.message_id).where(
        messages.c.message_id == correlation, messages.c.sender_agent_id == receiver, was_sent.exists()
    )
    return tx.connection.execute(asked).first() is not None


def hops(tx: Transaction, message_id: str) -> int:
    found = tx.connection.execute(select(messages.c.hops).where(messages.c.message_id == message_id)).scalar()
    return int(found) if found is not None else 0


def subscribe(
    tx: Transaction, subscription_id: str, agent_id: str, topic: str, *, by: str, most: int, of_owner: int
) -> str | None:
    """Return the subscription's id, which is that of an equal one before.

    None if the agent has `most` of them, or `of_owner` agents of its owner are subscribed to the topic. Runs end, so
    only the number of their owner's runs limits them.
    """
    same = select(subscriptions.c.subscription_id).where(
        subscriptions.c.agent_id == agent_id, subscriptions.c.topic == topic
    )
    known = tx.connection.execute(same).scalar()
    if known is not None:
        return str(known)
    mine = select(func.count()).select_from(subscriptions).where(subscriptions.c.agent_id == agent_id)
    if tx.connection.execute(mine).scalar_one() >= most:
        return None
    if not agent_id.startswith(RUN):
        same_topic = (subscriptions.c.created_by == by, subscriptions.c.topic == topic)
        owned = select(func.count()).select_from(subscriptions)
        owned = owned.where(*same_topic, not_(subscriptions.c.agent_id.startswith(RUN, autoescape=True)))
        if tx.connection.execute(owned).scalar_one() >= of_owner:
            return None
    values = {"subscription_id": subscription_id, "agent_id": agent_id, "topic": topic, "created_at": tx.now}
    tx.connection.execute(insert(subscriptions).values(**values, created_by=by))
    return subscription_id


def subscribed(tx: Transaction, *, agent_ids: Collection[str]) -> list[tuple[str, str, str, float]]:
    """Return the subscriptions of agents: id, agent, topic and time."""
    found = select(
        subscriptions.c.subscription_id, subscriptions.c.agent_id, subscriptions.c.topic, subscriptions.c.created_at
    ).where(subscriptions.c.agent_id.in_(list(agent_ids)))
    return [tuple(row) for row in tx.connection.execute(found.order_by(subscriptions.c.created_at))]


def subscription_of(tx: Transaction, subscription_id: str) -> tuple[str, str] | None:
    """Return the agent and the topic of a subscription."""
    found = select(subscriptions.c.agent_id, subscriptions.c.topic)
    row = tx.connection.execute(found.where(subscriptions.c.subscription_id == subscription_id)).first()
    return (row.agent_id, row.topic) if row is not None else None


def unsubscribe(tx: Transaction, subscription_id: str) -> bool:
    gone = delete(subscriptions).where(subscriptions.c.subscription_id == subscription_id)
    return tx.connection.execute(gone).rowcount > 0


def subscribers(tx: Transaction, topic: str) -> list[str]:
    """Return the agents that subscribe to a topic: to itself, to a prefix of it, or to all."""
    parts = topic.split(".")
    patterns = [topic, "*", *(".".join([*parts[:length], "*"]) for length in range(1, len(parts)))]
    found = select(subscriptions.c.agent_id).distinct().where(subscriptions.c.topic.in_(patterns))
    return list(tx.connection.execute(found.order_by(subscriptions.c.agent_id)).scalars())


def _full(tx: Transaction, receivers: Sequence[str], *, most: int, by: str) -> set[str]:
    """Return the receivers that take no more of this sender: their queue is full, or has the sender's share of it."""
    if not receivers:
        return set()
    counted = (
        select(deliveries.c.receiver, func.count().label("number"))
        .where(OPEN, deliveries.c.receiver.in_(receivers))
        .group_by(deliveries.c.receiver)
        .having(func.count() >= most // 2)  # below it nobody has a share
    )
    queued = {row.receiver: row.number for row in tx.connection.execute(counted)}
    full = {each for each, number in queued.items() if number >= most}
    if half := queued.keys() - full:
        own = (
            select(deliveries.c.receiver, func.count().label("number"))
            .join(messages, messages.c.message_id == deliveries.c.message_id)
            .where(OPEN, deliveries.c.receiver.in_(sorted(half)), messages.c.created_by == by)
            .group_by(deliveries.c.receiver)
        )
        for row in tx.connection.execute(own):
            if shares.has_its_share(row.number, free=most - queued[row.receiver], most=most):
                full.add(row.receiver)
    return full


def _leased(tx: Transaction, numbers: list[int], *, lease: float) -> list[Delivery]:
    if not numbers:
        return []
    found = (
        select(messages, deliveries.c.receiver, deliveries.c.via, deliveries.c.state, deliveries.c.attempts)
        .join(deliveries, deliveries.c.message_id == messages.c.message_id)
        .where(deliveries.c.number.in_(numbers))
        .order_by(deliveries.c.priority.desc(), deliveries.c.number)
    )
    rows = tx.connection.execute(found).all()
    leased = update(deliveries).where(deliveries.c.number.in_(numbers))
    tx.connection.execute(leased.values(due=tx.now + lease, attempts=deliveries.c.attempts + 1))
    return [
        Delivery(
            _of(tx, row),
            row.receiver,
            row.via,
            row.state,
            row.attempts + 1,
            row.created_at,
            row.expires_at,
            row.created_by,
        )
        for row in rows
    ]


def _told(tx: Transaction, message: Message, receiver: str, state: str) -> None:
    """Write the state of the whole message once no delivery is open, and the confirmation that was asked for."""
    waiting = select(deliveries.c.number).where(deliveries.c.message_id == message.id, _QUEUED).exists()
    unread = select(deliveries.c.number).where(deliveries.c.message_id == message.id, OPEN).exists()
    changed = update(messages).where(messages.c.message_id == message.id)
    if state == "delivered":
        tx.connection.execute(changed.where(~waiting).values(status="delivered", delivered_at=tx.now))
    elif state == "acknowledged":
        values = {"status": "acknowledged", "acknowledged_at": tx.now}
        values["delivered_at"] = func.coalesce(messages.c.delivered_at, _at(tx))
        tx.connection.execute(changed.where(~unread).values(**values))
    else:
        details = {"receiver": receiver, "state": state}
        tx.connection.execute(changed.where(~unread).values(status="failed", error_details=details))
    if message.confirmation == state or (message.confirmation != "none" and state in ("failed", "expired")):
        _confirm(tx, message, receiver, state)


def _confirm(tx: Transaction, message: Message, receiver: str, state: str) -> None:
    """Put the confirmation in the sender's mailbox. It needs no confirmation itself."""
    id_ = derived_id(state, message.id, receiver)
    about = {"message_id": message.id, "receiver": receiver, "state": state}
    data: Json = {"confirmation": about}
    confirmation = Message(
        id=id_,
        sender=receiver,
        to=(message.sender,),
        kind="notification",
        content={"type": "context", "data": data} if message.form == "003" else data,
        session=message.session,
        form=message.form,
        ttl=message.ttl,
        correlation=message.id,
        hops=message.hops,
    )
    known = select(messages.c.message_id).where(messages.c.message_id == id_)
    if tx.connection.execute(known).first() is None:
        put(tx, confirmation, [Addressed(message.sender, "mailbox")], by=receiver, most=_MOST_CONFIRMATIONS, lease=0)


def _row(tx: Transaction, message: Message, expires: float, by: str) -> dict[str, Any]:
    return {
        "message_id": message.id,
        "session_id": message.session or message.id,
        "sender_agent_id": message.sender,
        "receiver_agent_id": message.to[0] if len(message.to) == 1 else None,
        "message_type": message.kind,
        "content": sealed(tx.sealing, message.content, "a2a_messages", "content", message.id),
        "metadata": message.metadata or {},
        "created_at": tx.now,
        "form": message.form,
        "address": list(message.to),
        "priority": message.priority,
        "ttl_seconds": int(message.ttl),
        "expires_at": expires,
        "confirmation": message.confirmation,
        "skill": message.skill,
        "correlation_id": message.correlation,
        "causation_id": message.causation,
        "hops": message.hops,
        "sequence_id": message.sequence,
        "size": message.size,
        "digest": message.digest,
        "created_by": by,
    }


def _message(tx: Transaction, message_id: str) -> Message | None:
    row = tx.connection.execute(select(messages).where(messages.c.message_id == message_id)).first()
    return _of(tx, row) if row is not None else None


def _of(tx: Transaction, row: Any) -> Message:
    return Message(
        id=row.message_id,
        sender=row.sender_agent_id,
        to=tuple(row.address),
        kind=row.message_type,
        content=opened(tx.sealing, row.content, "a2a_messages", "content", row.message_id),
        session=row.session_id,
        form=row.form,
        priority=row.priority,
        ttl=row.ttl_seconds,
        confirmation=row.confirmation,
        skill=row.skill,
        correlation=row.correlation_id,
        causation=row.causation_id,
        hops=row.hops,
        sequence=row.sequence_id,
        metadata=row.metadata,
    )


def _at(tx: Transaction) -> Any:
    return literal(tx.now, Time)
