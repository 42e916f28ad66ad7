"""Starts, changes and ends sessions. A session's context is one of `Contexts`, with its id and its participants."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from lambdaagent.contexts.contexts import Contexts
from lambdaagent.coordination import context as pure
from lambdaagent.coordination.session import NewSession, Session, SessionChange
from lambdaagent.store.coordination import contexts as context_table
from lambdaagent.store.coordination import sessions as table
from lambdaagent.store.coordination.database import Database, Transaction

_TTL = 30 * 86_400  # seconds that a session's context lasts without a change


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    of_owner: int = 1_000
    page: int = 100


@dataclass(kw_only=True)
class Sessions:
    database: Database
    contexts: Contexts
    told: Callable[[str, Session], None]  # of an event: its name and the session
    limits: SessionLimits = SessionLimits()

    async def start(self, body: NewSession, *, initiator: str, by: str) -> Session:
        """Start a session with its context, both or neither.

        Raises IdInUseError, TooManyError, TooLargeError, StoreError.
        """
        data = pure.patched({}, body.context)
        pure.require_fit(data, most=self.contexts.limits.largest)
        session = Session(
            session_id=body.session_id or f"sess_{secrets.token_hex(16)}",
            initiator_agent_id=initiator,
            participant_agent_ids=body.participants,
            session_type=body.session_type,
            status="active",
            metadata=body.metadata,
            started_at=0.0,
            ended_at=None,
            last_activity_at=0.0,
            created_by=by,
        )

        def work(tx: Transaction) -> Session:
            made = table.start(tx, session, most=self.limits.of_owner)
            participants = [initiator, *body.participants]
            most = self.contexts.limits.of_owner
            context_table.create(
                tx, session.session_id, data, participants=participants, strategies={}, ttl=_TTL, by=by, most=most
            )
            return made

        made = await self.database.run(work)
        self.told("session.started", made)
        return made

    async def find(self, session_id: str) -> Session | None:
        return await self.database.read(lambda tx: table.find(tx, session_id))

    async def listed(self, *, owner: str | None) -> list[Session]:
        return await self.database.read(lambda tx: table.listed(tx, owner=owner, limit=self.limits.page))

    async def change(self, session_id: str, body: SessionChange) -> Session | None:
        """Raises ClosedError if it has ended."""
        more = {"metadata": body.metadata} if body.metadata is not None else {}

        def work(tx: Transaction) -> tuple[Session, bool] | None:
            done = table.change(tx, session_id, status=body.status, participants=body.participants, **more)
            if done is not None and body.participants is not None:
                participants = [done[0].initiator_agent_id, *body.participants]
                context_table.settle(tx, session_id, participants=participants)
            return done

        done = await self.database.run(work)
        if done is None:
            return None
        session, ended = done
        if ended:
            self.told("session.ended", session)
        return session

    async def touch(self, session_id: str) -> None:
        await self.database.run(lambda tx: table.touch(tx, session_id))

    async def counts(self) -> dict[str, int]:
        return await self.database.read(table.counts)
