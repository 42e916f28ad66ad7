"""Who receives a message: agents that its sender may call, by id, by their subscription to a topic, or all of them.

A message reaches nobody whom its sender could not call. Of many receivers those are left out; a single one is refused
as a call of it is.
"""

from collections.abc import Iterable

from aiohttp import web

from lambdaagent.access.actions import Action
from lambdaagent.access.rules import Mode
from lambdaagent.coordination.deliveries import Addressed
from lambdaagent.coordination.message import Message
from lambdaagent.coordination.workflow import RUN
from lambdaagent.gateway.access import authorization, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination import agents, carriers
from lambdaagent.gateway.coordination.agent_ids import entry_of
from lambdaagent.gateway.coordination.requests import coordination
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_MOST = 2_000


async def of(request: web.Request, message: Message) -> tuple[list[Addressed], list[str]]:
    """Return the receivers, and the ids of those that are not there for the sender. Raises ProblemError."""
    if message.to_everybody:
        request.app[SERVICES].directory.require_listed()
        entries = [each async for each in authorization.listed(request, lambda entry: entry.enabled)]
        return await _callable(request, message, entries), []
    if message.topic is not None:
        ids = await coordination(request).messages.subscribers(message.topic)
        runs = await coordination(request).receivers.runs(request[PRINCIPAL], ids)
        return await _callable(request, message, _entries(request, ids)) + runs, []
    if len(message.to) == 1:
        return [await _one(request, message, message.to[0])], []
    found = list(_entries(request, message.to))
    taken = await _callable(request, message, found)
    reached = {each.agent_id for each in taken}
    return taken, [each for each in message.to if each not in reached]


async def _one(request: web.Request, message: Message, agent_id: str) -> Addressed:
    if message.kind in ("response", "error") and message.correlation:
        messages = coordination(request).messages
        if await messages.answers(message.correlation, sender=message.sender, receiver=agent_id):
            return Addressed(agent_id, messages.carrier.via(agent_id))  # whoever asks takes the answer
    if agent_id.startswith(RUN) and await coordination(request).receivers.reaches(request[PRINCIPAL], agent_id):
        return Addressed(agent_id, "mailbox")
    entry = await agents.find(request, agent_id)
    limiting.require_agent(request.app[SERVICES], entry, request[PRINCIPAL])
    via = carriers.via_of(entry)
    await authorization.require(request, entry, Action.INVOKE, skill=message.skill or None)
    if via == "call" and not message.skill:
        await authorization.require_all_skills(request, entry)
    if entry.registered is not None and entry.registered.status == "suspended":
        raise ProblemError(409, "agent-suspended", f"The agent {agent_id} is suspended and takes no messages.")
    return Addressed(agent_id, via)


async def _callable(request: web.Request, message: Message, entries: Iterable[Entry]) -> list[Addressed]:
    guard, principal = request.app[SERVICES].guard, request[PRINCIPAL]
    enforced = guard.mode is Mode.ENFORCE
    found: list[Addressed] = []
    for entry in entries:
        if entry.agent_id == message.sender or agents.status_of(entry) == "suspended":
            continue
        if enforced and not (await guard.decision(principal, Action.INVOKE, entry.rules, listed=True)).allowed:
            continue
        via = carriers.via_of(entry)
        if via == "call" and enforced and await guard.skills(principal, entry.rules, listed=True) is not None:
            continue  # it may call some skills only, and the message names none
        found.append(Addressed(entry.agent_id, via))
        if len(found) > _MOST:
            raise ProblemError(413, "too-many-receivers", f"The message has more than {_MOST} receivers; use topics.")
    return found


def _entries(request: web.Request, ids: Iterable[str]) -> Iterable[Entry]:
    services = request.app[SERVICES]
    for agent_id in ids:
        entry = entry_of(services.directory, agent_id, registry=services.config.registry_namespace)
        if entry is not None and entry.enabled:
            yield entry
