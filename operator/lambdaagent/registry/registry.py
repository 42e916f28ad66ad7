"""Registers agents elsewhere, hears their heartbeats, and keeps every replica's directory up to date.

The table is the truth. Each replica holds a copy of it, which notices of the database keep current, and gives each
change to `changed` and `removed`. Any replica may find that an agent has missed its heartbeats, or fetch a card again:
the database gives each of these to one of them.

Hazard: a card is what another server says of itself. `Cards` bounds and checks it; a server that cannot be asked leaves
the last good card in place.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from lambdaagent.a2a import Json
from lambdaagent.backoff import spread
from lambdaagent.cancellation import cancel
from lambdaagent.coordination.registered_agent import RegisteredAgent, label_of
from lambdaagent.coordination.registration import Change, Heartbeat, Registration
from lambdaagent.errors import LambdaAgentError
from lambdaagent.store.coordination import agents
from lambdaagent.store.coordination.database import Database, Notice

log = structlog.get_logger(__name__)

_SWEEP = 2.0  # seconds between two searches for agents that missed their heartbeats
_AT_ONCE = 100
_FETCHED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class FetchedCard:
    card: Json | None  # None: it could not be had
    place: str = ""
    etag: str = ""
    problem: str = ""


class Cards(Protocol):
    """Fetches what a server elsewhere says of itself, within bounds of size and time. Raises nothing."""

    async def fetch(self, agent: RegisteredAgent) -> FetchedCard: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLimits:
    agents_of_owner: int = 1_000
    card_seconds: float = 300.0  # between two requests for the same card


@dataclass(kw_only=True)
class Registry:
    database: Database
    cards: Cards
    changed: Callable[[RegisteredAgent], None]
    removed: Callable[[RegisteredAgent], None]
    told: Callable[[str, RegisteredAgent], None]  # of an event: its name and the agent
    limits: RegistryLimits = field(default_factory=RegistryLimits)
    _known: dict[str, RegisteredAgent] = field(default_factory=dict, init=False)
    _pending: dict[str, None] = field(default_factory=dict, init=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _all: bool = field(default=True, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the table until the end of the context."""
        self.database.on_notice(self._heard, missed=self._missed)
        self._some.set()
        tasks = [
            asyncio.create_task(each, name="registry") for each in (self._follow(), self._sweep(), self._refresh())
        ]
        try:
            yield
        finally:
            for task in tasks:
                await cancel(task)

    async def register(self, owner: str, body: Registration) -> tuple[RegisteredAgent, bool]:
        """Return the agent, and whether it is new. Raises IdTakenError, TooManyAgentsError, StoreError."""
        name = body.name or body.agent_id or ""
        url = body.endpoint_url or ""
        agent_id = body.agent_id
        if agent_id is None:
            same = await self.database.read(lambda tx: agents.same(tx, owner, name, url))
            agent_id = same.agent_id if same is not None else f"agent_{secrets.token_hex(16)}"
        agent = RegisteredAgent(
            agent_id=agent_id,
            name=name,
            label=label_of(agent_id),
            created_by=owner,
            protocol=body.spoken,
            description=body.description or "",
            version=body.version or "",
            endpoint_url=url,
            capabilities=body.capabilities if body.capabilities is not None else [],
            access=body.access.model_dump(by_alias=True, exclude_defaults=True) if body.access is not None else {},
            metadata=body.metadata or {},
            ttl_seconds=body.ttl_seconds,
        )
        if url:
            agent = self._with_card(agent, await self.cards.fetch(agent))
        new = await self.database.run(lambda tx: agents.put(tx, agent, most=self.limits.agents_of_owner))
        found = await self.find(agent_id) or agent
        self._take(found)
        if new:
            self.told("agent.registered", found)
        return found, new

    async def find(self, agent_id: str) -> RegisteredAgent | None:
        return await self.database.read(lambda tx: agents.find(tx, agent_id))

    def known(self, agent_id: str) -> RegisteredAgent | None:
        """Return this replica's copy of an agent, which may be a moment old."""
        return self._known.get(agent_id)

    def of_owner(self, owner: str) -> list[str]:
        """Return the ids of an owner's agents, by this replica's copy."""
        return [agent.agent_id for agent in self._known.values() if agent.created_by == owner]

    async def change(self, agent_id: str, by: str, body: Change) -> RegisteredAgent | None:
        values = {
            name: getattr(body, name)
            for name in ("name", "description", "version", "capabilities", "metadata", "status")
            if getattr(body, name) is not None
        }
        if body.access is not None:
            values["access"] = body.access.model_dump(by_alias=True, exclude_defaults=True)
        before = self._known.get(agent_id)
        found = await self.database.run(lambda tx: agents.change(tx, agent_id, by, **values))
        if found is not None:
            self._take(found)
            if body.status is not None and (before is None or before.status != found.status):
                self.told("agent.status-changed", found)
        return found

    async def beat(self, agent_id: str, body: Heartbeat) -> RegisteredAgent | None:
        beaten = await self.database.run(
            lambda tx: agents.beat(tx, agent_id, load=body.load, ttl_seconds=body.ttl_seconds)
        )
        if beaten is None:
            return None
        found, revived = beaten
        self._known[agent_id] = found
        if revived:
            self._take(found)
            self.told("agent.status-changed", found)
        return found

    async def delete(self, agent_id: str, by: str) -> bool:
        gone = await self.database.run(lambda tx: agents.delete(tx, agent_id, by))
        self._drop(agent_id)
        return gone

    async def counts(self) -> dict[str, int]:
        return await self.database.read(agents.counts)

    def _heard(self, notice: Notice) -> None:
        if notice.kind == agents.NOTICE:
            self._pending[notice.id] = None
            self._some.set()

    def _missed(self) -> None:
        self._all = True
        self._some.set()

    async def _follow(self) -> None:
        """Bring this replica's copy up to date whenever something was announced."""
        while True:
            await self._some.wait()
            self._some.clear()
            pending, self._pending = self._pending, {}
            everything, self._all = self._all, False
            try:
                if everything:
                    await self._read_all()
                for agent_id in () if everything else pending:
                    found = await self.find(agent_id)
                    if found is not None:
                        self._take(found)
                    else:
                        self._drop(agent_id)
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("registry.read_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                self._all = True
                self._some.set()
                await asyncio.sleep(1.0)

    async def _read_all(self) -> None:
        seen: set[str] = set()
        after = ""
        while True:
            page = await self.database.read(lambda tx, after=after: agents.every(tx, after=after, limit=_AT_ONCE))  # type: ignore[misc]
            for agent in page:
                seen.add(agent.agent_id)
                self._take(agent)
            if len(page) < _AT_ONCE:
                break
            after = page[-1].agent_id
        for agent_id in self._known.keys() - seen:
            self._drop(agent_id)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(spread(_SWEEP))
            try:
                late = await self.database.run(lambda tx: agents.expire(tx, limit=_AT_ONCE))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning("registry.sweep_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError))
                continue
            for agent in late:
                log.info("agent.became_inactive", agent=agent.agent_id, last_heartbeat=agent.last_heartbeat)
                self._take(agent)
                self.told("agent.status-changed", agent)

    async def _refresh(self) -> None:
        every = self.limits.card_seconds
        while True:
            await asyncio.sleep(spread(min(every, 10.0)))
            try:
                due = await self.database.run(
                    lambda tx: agents.claim_cards(tx, older_than=tx.now - every, limit=_FETCHED_AT_ONCE)
                )
                await asyncio.gather(*(self.refresh(agent) for agent in due))
            except Exception as error:  # the root of a loop that nothing may end
                log.warning(
                    "registry.refresh_failed", error=str(error), exc_info=not isinstance(error, LambdaAgentError)
                )

    async def refresh(self, agent: RegisteredAgent) -> None:
        """Fetch the card again, and write what changed."""
        found = self._with_card(agent, await self.cards.fetch(agent))
        columns = ("agent_card", "card_place", "card_etag", "card_problem", "protocol")
        changed = {name: getattr(found, name) for name in columns if getattr(found, name) != getattr(agent, name)}
        if changed:
            written = await self.database.run(lambda tx: agents.change(tx, agent.agent_id, "gateway", **changed))
            if written is not None:
                self._take(written)

    def _with_card(self, agent: RegisteredAgent, fetched: FetchedCard) -> RegisteredAgent:
        """Return the agent with what was fetched. An agent of no known protocol speaks A2A if it has a card, else HTTP;
        the last good card stays while there is none.
        """
        now = self.database.now()
        if fetched.card is None:
            protocol = agent.protocol or "http"
            problem = fetched.problem if protocol != "http" else ""
            return replace(agent, protocol=protocol, card_problem=problem, card_checked_at=now)
        return replace(
            agent,
            protocol="mcp" if agent.protocol == "mcp" else "a2a",
            agent_card=fetched.card,
            card_place=fetched.place,
            card_etag=fetched.etag,
            card_problem="",
            card_checked_at=now,
        )

    def _take(self, agent: RegisteredAgent) -> None:
        self._known[agent.agent_id] = agent
        self.changed(agent)

    def _drop(self, agent_id: str) -> None:
        gone = self._known.pop(agent_id, None)
        if gone is not None:
            self.removed(gone)
