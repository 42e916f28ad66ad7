"""Who receives what is sent to a topic: subscribers that the sender may call, and runs that it may reach."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from lambdaagent.access.actions import Action
from lambdaagent.access.principal import Principal
from lambdaagent.access.rules import Mode
from lambdaagent.coordination.deliveries import Addressed
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.workflow import ENDED, PREFIX, RUN, Listener, Run
from lambdaagent.gateway.access.guard import Guard
from lambdaagent.gateway.coordination import agents, carriers, rights
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.directory import Directory
from lambdaagent.messaging.messages import Messages

log = structlog.get_logger(__name__)

_MOST = 1_000


@dataclass(frozen=True, kw_only=True)
class TopicReceivers:
    directory: Directory
    namespace: str
    guard: Guard
    messages: Messages
    run: Callable[[str], Awaitable[Run | None]]
    listeners: Callable[[Sequence[str]], Awaitable[list[Listener]]]

    async def of(self, message: Message, *, name: str, stored: str) -> list[Addressed]:
        """Return the receivers of a message that somebody who is not there sends."""
        principal = rights.standing(self.guard, name, stored)
        ids = await self.messages.subscribers(message.topic or "")
        if principal is None:
            return []
        found = [await self.agent(principal, each) for each in ids if not each.startswith(RUN)]
        return [each for each in found if each is not None][:_MOST] + await self.runs(principal, ids)

    async def agent(self, principal: Principal, agent_id: str) -> Addressed | None:
        entry = entry_of(self.directory, agent_id, registry=self.namespace)
        if entry is None or not entry.enabled or agents.status_of(entry) == "suspended":
            return None
        via = carriers.via_of(entry)
        if self.guard.mode is Mode.ENFORCE:
            if not (await self.guard.decision(principal, Action.INVOKE, entry.rules)).allowed:
                return None
            if via == "call" and await self.guard.skills(principal, entry.rules) is not None:
                return None  # it may call some skills only, and the message names none
        return Addressed(entry.agent_id, via)

    async def runs(self, principal: Principal, ids: Iterable[str]) -> list[Addressed]:
        """Return those listening runs that the sender may reach. Of too many, the first of each owner are taken."""
        found = await self.listeners([each for each in ids if each.startswith(RUN)])
        open_ = {name: await self._open(principal, name) for name in {each.workflow for each in found}}
        place, placed = Counter[str](), list[tuple[int, str]]()
        for each in found:
            if each.created_by == principal.name or open_[each.workflow]:
                placed.append((place[each.created_by], each.run_id))
                place[each.created_by] += 1
        if len(placed) > _MOST:
            log.warning("topic.receivers_cut", runs=len(placed), most=_MOST)
        return [Addressed(run_id, "mailbox") for _, run_id in sorted(placed)[:_MOST]]

    async def reaches(self, principal: Principal, run_id: str) -> bool:
        """A run is reached by its creator, and by whoever may run its workflow."""
        run = await self.run(run_id)
        if run is None or run.status in ENDED:
            return False
        return principal.name == run.created_by or await self._open(principal, run.workflow)

    async def _open(self, principal: Principal, workflow: str) -> bool:
        if self.guard.mode is not Mode.ENFORCE:
            return True
        entry = entry_of(self.directory, PREFIX + workflow, registry=self.namespace)
        return entry is not None and (await self.guard.decision(principal, Action.INVOKE, entry.rules)).allowed
