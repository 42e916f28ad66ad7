"""The tables of proposals and votes. A vote, and a close, lock the proposal's row, so one of them comes first."""

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    text,
    update,
)

from lambdaagent.coordination import proposal as pure
from lambdaagent.coordination.proposal import ABSTAIN, Proposal
from lambdaagent.coordination.refusals import (
    ClosedError,
    IdInUseError,
    NotElectorError,
    TooManyError,
    UnknownChoiceError,
)
from lambdaagent.store.coordination.database import Transaction
from lambdaagent.store.coordination.tables import Document, Time, metadata

NOTICE = "proposal"

proposals = Table(
    "a2a_proposals",
    metadata,
    Column("proposal_id", String(255), primary_key=True),
    Column("proposer", String(512), nullable=False),
    Column("title", String(1024), nullable=False),
    Column("description", Text, nullable=False),
    Column("data", Document, nullable=False),
    Column("options", Document, nullable=False),
    Column("electorate", Document, nullable=False),
    Column("rule", String(16), nullable=False),
    Column("quorum", Integer, nullable=False),
    Column("deadline", Time, nullable=False),
    Column("close_when_all_voted", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("outcome", String(255), nullable=False, server_default=""),
    Column("tally", Document, nullable=False, server_default=text("'{}'")),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("decided_at", Time),
    Column("created_by", String(512), nullable=False),
    CheckConstraint("status IN ('open', 'accepted', 'rejected', 'expired')", name="a2a_proposals_status"),
    CheckConstraint("rule IN ('majority', 'plurality', 'unanimous', 'quorum')", name="a2a_proposals_rule"),
)
_OPEN = proposals.c.status == text("'open'")
Index("idx_a2a_proposals_deadline", proposals.c.deadline, postgresql_where=_OPEN, sqlite_where=_OPEN)
Index("idx_a2a_proposals_owner", proposals.c.created_by, proposals.c.created_at)

votes = Table(
    "a2a_votes",
    metadata,
    Column("proposal_id", String(255), ForeignKey("a2a_proposals.proposal_id", ondelete="CASCADE"), primary_key=True),
    Column("voter", String(512), primary_key=True),
    Column("choice", String(255), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_at", Time, nullable=False, server_default=func.now()),
    Column("modified_at", Time, nullable=False, server_default=func.now()),
)


def open_(tx: Transaction, proposal: Proposal, *, most: int) -> None:
    """Raises IdInUseError, TooManyError if the owner has `most` open proposals."""
    known = select(proposals.c.proposal_id).where(proposals.c.proposal_id == proposal.proposal_id)
    if tx.connection.execute(known).first() is not None:
        raise IdInUseError(proposal.proposal_id)
    mine = select(func.count()).select_from(proposals).where(proposals.c.created_by == proposal.created_by, _OPEN)
    if tx.connection.execute(mine).scalar_one() >= most:
        raise TooManyError(proposal.created_by)
    values = {name: getattr(proposal, name) for name in Proposal.__slots__} | {"created_at": tx.now}
    values |= {"decided_at": None, "options": list(proposal.options), "electorate": list(proposal.electorate)}
    tx.connection.execute(insert(proposals).values(**values))
    tx.notify(NOTICE, proposal.proposal_id)


def find(tx: Transaction, proposal_id: str) -> Proposal | None:
    row = tx.connection.execute(select(proposals).where(proposals.c.proposal_id == proposal_id)).first()
    return _of(row) if row is not None else None


def cast(
    tx: Transaction, proposal_id: str, voter: str, choice: str, *, reason: str = ""
) -> tuple[Proposal, bool] | None:
    """Write or change a vote: the proposal, and whether this vote closed it. None if there is no such proposal.

    Raises NotElectorError, UnknownChoiceError, ClosedError.
    """
    proposal = _locked(tx, proposal_id)
    if proposal is None:
        return None
    if voter not in proposal.electorate:
        raise NotElectorError(voter)
    if choice != ABSTAIN and choice not in proposal.options:
        raise UnknownChoiceError(", ".join([*proposal.options, ABSTAIN]))
    if proposal.status != "open" or proposal.deadline <= tx.now:
        raise ClosedError(proposal.status if proposal.status != "open" else "past its deadline")
    mine = (votes.c.proposal_id == proposal_id, votes.c.voter == voter)
    changed = update(votes).where(*mine).values(choice=choice, reason=reason, modified_at=tx.now)
    if not tx.connection.execute(changed).rowcount:
        values = {"proposal_id": proposal_id, "voter": voter, "choice": choice, "reason": reason}
        tx.connection.execute(insert(votes).values(**values, created_at=tx.now, modified_at=tx.now))
    if proposal.close_when_all_voted and len(cast_of(tx, proposal_id)) == len(proposal.electorate):
        return _close(tx, proposal, at_deadline=False), True
    tx.notify(NOTICE, proposal_id)
    return proposal, False


def cast_of(tx: Transaction, proposal_id: str) -> dict[str, str]:
    """Return the votes: voter to choice."""
    found = select(votes.c.voter, votes.c.choice).where(votes.c.proposal_id == proposal_id)
    return {row.voter: row.choice for row in tx.connection.execute(found)}


def close(tx: Transaction, proposal_id: str) -> tuple[Proposal, bool] | None:
    """Decide an open proposal: the proposal, and whether this call closed it. None if there is no such proposal."""
    proposal = _locked(tx, proposal_id)
    if proposal is None or proposal.status != "open":
        return (proposal, False) if proposal is not None else None
    return _close(tx, proposal, at_deadline=proposal.deadline <= tx.now), True


def close_due(tx: Transaction, *, limit: int) -> list[Proposal]:
    """Decide proposals that are past their deadline. Of several replicas one gets each proposal."""
    due = select(proposals).where(_OPEN, proposals.c.deadline <= tx.now).order_by(proposals.c.deadline).limit(limit)
    rows = tx.connection.execute(due.with_for_update(skip_locked=True)).all()
    return [_close(tx, _of(row), at_deadline=True) for row in rows]


def listed(tx: Transaction, *, owner: str | None, status: str | None, limit: int) -> list[Proposal]:
    """Return the newest proposals of an owner; None: of every owner."""
    wanted = select(proposals)
    if owner is not None:
        wanted = wanted.where(proposals.c.created_by == owner)
    if status is not None:
        wanted = wanted.where(proposals.c.status == status)
    return [_of(row) for row in tx.connection.execute(wanted.order_by(proposals.c.created_at.desc()).limit(limit))]


def prune(tx: Transaction, *, before: float, limit: int) -> int:
    """Delete proposals that were decided before then."""
    old = select(proposals.c.proposal_id).where(~_OPEN, proposals.c.decided_at < before).limit(limit)
    ids = list(tx.connection.execute(old).scalars())
    if ids:
        tx.connection.execute(votes.delete().where(votes.c.proposal_id.in_(ids)))
        tx.connection.execute(proposals.delete().where(proposals.c.proposal_id.in_(ids)))
    return len(ids)


def counts(tx: Transaction) -> dict[str, int]:
    found = select(proposals.c.status, func.count()).group_by(proposals.c.status)
    return {row[0]: row[1] for row in tx.connection.execute(found)}


def _close(tx: Transaction, proposal: Proposal, *, at_deadline: bool) -> Proposal:
    found = cast_of(tx, proposal.proposal_id)
    status, outcome = pure.verdict(proposal, found, at_deadline=at_deadline)
    values = {"status": status, "outcome": outcome, "tally": pure.tally(proposal, found), "decided_at": tx.now}
    tx.connection.execute(update(proposals).where(proposals.c.proposal_id == proposal.proposal_id).values(**values))
    tx.notify(NOTICE, proposal.proposal_id)
    closed = find(tx, proposal.proposal_id)
    if closed is None:
        raise AssertionError("the row is locked")
    return closed


def _locked(tx: Transaction, proposal_id: str) -> Proposal | None:
    row = tx.connection.execute(
        select(proposals).where(proposals.c.proposal_id == proposal_id).with_for_update()
    ).first()
    return _of(row) if row is not None else None


def _of(row: Any) -> Proposal:
    values = {name: getattr(row, name) for name in Proposal.__slots__}
    return Proposal(**values | {"decided_at": row.decided_at or 0.0})
