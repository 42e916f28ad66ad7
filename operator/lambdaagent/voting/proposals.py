"""Opens proposals, takes votes and closes what is past its deadline.

The electors are told by a message, which wakes those that sleep; an elector may answer it with its vote. The result is
told to the proposer and to all electors in the same way. Both messages are written with what they tell, so neither is
lost with a replica.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from lambdaagent.a2a import Json
from lambdaagent.backoff import spread
from lambdaagent.cancellation import cancel
from lambdaagent.coordination.deliveries import Accepted, Addressed
from lambdaagent.coordination.message import Message, derived_id
from lambdaagent.coordination.proposal import NewProposal, Proposal, shown
from lambdaagent.coordination.refusals import (
    ClosedError,
    NotElectorError,
    OtherMessageError,
    QueueFullError,
    UnknownChoiceError,
)
from lambdaagent.errors import LambdaAgentError
from lambdaagent.messaging.messages import Messages
from lambdaagent.store.coordination import proposals as table
from lambdaagent.store.coordination.database import Database, Transaction, Work

log = structlog.get_logger(__name__)

PROPOSAL = "proposal_id"
"""The metadata of the message that asks for a vote."""
_SWEEP = 1.0
_AT_ONCE = 50
_RETENTION = 30 * 86_400.0
_RESULT_TTL = 7 * 86_400.0
_Told = tuple[Accepted, Sequence[Addressed]]
"""The message that tells of a proposal, and its receivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalLimits:
    of_owner: int = 1_000  # open proposals
    page: int = 100


@dataclass(kw_only=True)
class Proposals:
    database: Database
    messages: Messages
    told: Callable[[str, Proposal], None]  # of an event: its name and the proposal
    limits: ProposalLimits = field(default_factory=ProposalLimits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.messages.on_answer(self._answered)
        task = asyncio.create_task(self._sweep(), name="proposal-sweep")
        try:
            yield
        finally:
            await cancel(task)

    async def open(self, body: NewProposal, *, by: str) -> Proposal:
        """Raises IdInUseError, TooManyError, StoreError."""
        now = self.database.now()
        electors = len(body.electorate)
        proposal = Proposal(
            proposal_id=body.proposal_id or f"prop_{secrets.token_hex(16)}",
            proposer=body.from_,
            title=body.title,
            description=body.description,
            data=body.data,
            options=body.options,
            electorate=body.electorate,
            rule=body.rule,
            quorum=(body.quorum or electors // 2 + 1) if body.rule == "quorum" else 0,
            deadline=now + body.deadline_seconds,
            close_when_all_voted=body.close_when_all_voted,
            created_at=now,
            created_by=by,
        )

        def work(tx: Transaction) -> _Told:
            table.open_(tx, proposal, most=self.limits.of_owner)
            return self._write(tx, proposal)

        self._told(proposal, await self.database.run(work))
        return proposal

    async def find(self, proposal_id: str) -> tuple[Proposal, dict[str, str]] | None:
        """Return the proposal and its votes."""

        def both(tx: Transaction) -> tuple[Proposal, dict[str, str]] | None:
            found = table.find(tx, proposal_id)
            return (found, table.cast_of(tx, proposal_id)) if found is not None else None

        return await self.database.read(both)

    async def listed(self, *, owner: str | None, status: str | None) -> list[Proposal]:
        limit = self.limits.page
        return await self.database.read(lambda tx: table.listed(tx, owner=owner, status=status, limit=limit))

    async def vote(self, proposal_id: str, voter: str, choice: str, *, reason: str = "") -> Proposal | None:
        """Raises NotElectorError, UnknownChoiceError, ClosedError, StoreError."""
        return await self._changed(lambda tx: table.cast(tx, proposal_id, voter, choice, reason=reason))

    async def close(self, proposal_id: str) -> Proposal | None:
        return await self._changed(lambda tx: table.close(tx, proposal_id))

    async def counts(self) -> dict[str, int]:
        return await self.database.read(table.counts)

    async def _changed(self, change: Work[tuple[Proposal, bool] | None]) -> Proposal | None:
        """Return the changed proposal. If the change closed it, the result is told in the same transaction."""

        def work(tx: Transaction) -> tuple[Proposal, _Told | None] | None:
            done = change(tx)
            if done is None:
                return None
            proposal, closed = done
            return proposal, self._write(tx, proposal) if closed else None

        done = await self.database.run(work)
        if done is None:
            return None
        proposal, told = done
        if told is not None:
            self._told(proposal, told)
        return proposal

    def _write(self, tx: Transaction, proposal: Proposal) -> _Told:
        """Write the message that tells the electors of an open proposal, or also the proposer of a decided one."""
        is_open = proposal.status == "open"
        others = [each for each in proposal.electorate if each != proposal.proposer]
        receivers = proposal.electorate if is_open else [proposal.proposer, *others]
        message = Message(
            id=derived_id("opened" if is_open else "decided", proposal.proposal_id),
            sender=proposal.proposer,
            to=tuple(receivers),
            kind="request" if is_open else "notification",
            content={"type": "query" if is_open else "context", "data": {"proposal": shown(proposal)}},
            session=proposal.proposal_id,
            ttl=max(1.0, proposal.deadline - tx.now) if is_open else _RESULT_TTL,
            metadata={PROPOSAL: proposal.proposal_id},
        )
        to = [Addressed(each, self.messages.carrier.via(each)) for each in receivers]
        try:
            return self.messages.write(tx, message, to, by=proposal.created_by), to
        except (OtherMessageError, QueueFullError) as error:  # the proposal itself stands
            log.warning("proposal.not_told", proposal=proposal.proposal_id, error=f"{type(error).__name__}: {error}")
            return Accepted(message, again=True), to

    def _told(self, proposal: Proposal, told: _Told) -> None:
        if proposal.status != "open":
            log.info(
                "proposal.decided", proposal=proposal.proposal_id, status=proposal.status, outcome=proposal.outcome
            )
        self.told("proposal.opened" if proposal.status == "open" else "proposal.decided", proposal)
        accepted, receivers = told
        self.messages.written(accepted, receivers, by=proposal.created_by)

    async def _answered(self, message: Message, voter: str, answer: Json) -> None:
        """Take the answer to the message that asks for a vote as a vote."""
        proposal_id, choice = (message.metadata or {}).get(PROPOSAL), answer.get("choice")
        if (
            not isinstance(proposal_id, str)
            or message.id != derived_id("opened", proposal_id)
            or not isinstance(choice, str)
        ):
            return
        reason = answer.get("reason")
        try:
            await self.vote(proposal_id, voter, choice, reason=reason[:4096] if isinstance(reason, str) else "")
        except (NotElectorError, UnknownChoiceError, ClosedError) as error:
            log.warning("vote.refused", proposal=proposal_id, voter=voter, error=f"{type(error).__name__}: {error}")

    def _close_due(self, tx: Transaction) -> list[tuple[Proposal, _Told]]:
        return [(proposal, self._write(tx, proposal)) for proposal in table.close_due(tx, limit=_AT_ONCE)]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(spread(_SWEEP))
            try:
                for proposal, told in await self.database.run(self._close_due):
                    self._told(proposal, told)
                await self.database.run(lambda tx: table.prune(tx, before=tx.now - _RETENTION, limit=_AT_ONCE))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("proposal.sweep_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
