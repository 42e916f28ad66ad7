"""The agents and skills that a caller may call, for the platform's tools.

What the caller may not know of is treated like what is not there.
"""

from collections.abc import AsyncIterator

from lambdaagent.api import naming
from lambdaagent.api.skills import Skill
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.mcp import tools
from lambdaagent.mcp.selection import Candidate


def skills(call: McpCall, entry: Entry) -> list[Skill]:
    """Return the skills of a listed agent that lists show to the caller."""
    callable_ = call.services.guard.listed_skills(call.request[PRINCIPAL], entry.rules)
    return [each for each in tools.skills(entry.public) if callable_ is None or each.id in callable_]


def candidate(entry: Entry, skill: Skill) -> Candidate:
    return Candidate(
        namespace=entry.key[0],
        agent=entry.key[1],
        skill=skill.id,
        name=skill.name,
        description=skill.description,
        tags=tuple(skill.tags),
        examples=tuple(skill.examples),
        ready=entry.ready,
    )


async def of_all(call: McpCall, *, namespace: str = "") -> AsyncIterator[Candidate]:
    """Yield the skills of all agents of the scope that lists show to the caller."""
    call.services.directory.require_listed(namespace or call.scope.namespace or None)
    async for entry in call.agents():
        if namespace in ("", entry.key[0]):
            for skill in skills(call, entry):
                yield candidate(entry, skill)


async def of_agent(call: McpCall, entry: Entry) -> list[Candidate]:
    """Return the skills of one agent that the caller may call; unlike lists, the cluster is asked."""
    callable_ = await call.services.guard.skills(call.request[PRINCIPAL], entry.rules)
    return [candidate(entry, each) for each in tools.skills(entry.public) if callable_ is None or each.id in callable_]


async def agent(call: McpCall, agent_id: str) -> Entry | None:
    """Return the agent of the scope that an id names, if the caller may know of it."""
    namespace, _, name = agent_id.rpartition("/")
    namespace = namespace or call.scope.namespace
    if call.scope.namespace not in ("", namespace) or not naming.is_label(namespace, name):
        return None
    found = call.services.directory.find(namespace, name)
    entry = await authorization.seen(call.request, found, asked=(namespace, name))
    if entry is None:
        call.services.directory.require_listed(namespace)
        return None
    return entry if entry.enabled and call.covers(entry) else None
