"""A skill of an agent as the selection by words or by type sees it (`mcp.selection`)."""

from lambdaagent.api.skills import Skill
from lambdaagent.gateway.directory import Entry
from lambdaagent.mcp.selection import Candidate


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
