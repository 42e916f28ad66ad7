"""The agents and skills that a caller may call, for the platform's tools.

What the caller may not know of is treated like what is not there.
"""

import asyncio
from collections.abc import AsyncIterator

from lambdaagent.api import naming
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.coordination.agent_ids import key_of
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform.platform_calls import no_agent
from lambdaagent.gateway.skills.candidate import candidate
from lambdaagent.mcp import tools
from lambdaagent.mcp.selection import Candidate, Criterion, Match

_TURN = 50  # skills
_SOME = 10


async def matching(
    call: McpCall, criterion: Criterion, *, agent_id: str = "", namespace: str = ""
) -> tuple[list[Match], list[Candidate]]:
    """Return the skills that match, the best first, and a few of all that were looked at: those of one agent, or of all
    that lists show to the caller. Others have their turns meanwhile. Raises ToolError for an unknown agent.
    """
    matches: list[Match] = []
    some: list[Candidate] = []
    number = 0
    async for each in _of_agent(call, agent_id, namespace) if agent_id else _of_all(call, namespace):
        number += 1
        if number % _TURN == 0:
            await asyncio.sleep(0)
        if len(some) < _SOME:
            some.append(each)
        if (match := criterion.match(each)) is not None:
            matches.append(match)
    return criterion.ranked(matches), some


async def _of_all(call: McpCall, namespace: str) -> AsyncIterator[Candidate]:
    call.services.directory.require_listed(namespace or call.scope.namespace or None)
    async for entry in call.agents():
        if namespace in ("", entry.key[0]):
            for skill in authorization.listed_skills(call.request, entry):
                yield candidate(entry, skill)


async def _of_agent(call: McpCall, agent_id: str, namespace: str) -> AsyncIterator[Candidate]:
    """Yield the skills of one agent that the caller may call; unlike lists, the cluster is asked."""
    entry = await agent(call, agent_id)
    if entry is None or namespace not in ("", entry.key[0]):
        raise no_agent(agent_id)
    callable_ = await call.services.guard.skills(call.request[PRINCIPAL], entry.rules)
    for each in tools.skills(entry.public):
        if callable_ is None or each.id in callable_:
            yield candidate(entry, each)


async def agent(call: McpCall, agent_id: str) -> Entry | None:
    """Return the agent of the scope that an id names, if the caller may know of it.

    An id without a namespace is that of a registered agent, or at the endpoint of a namespace a name there.
    """
    namespace, _, name = agent_id.rpartition("/")
    registry = call.services.config.registry_namespace
    namespace = namespace or call.scope.namespace or registry
    if "/" not in agent_id and namespace == registry:
        namespace, name = key_of(agent_id, registry=registry)
    if call.scope.namespace not in ("", namespace) or not naming.is_label(namespace, name):
        return None
    entry = await authorization.find(call.request, namespace, name)
    return entry if entry is not None and entry.enabled and call.covers(entry) else None
