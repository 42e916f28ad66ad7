"""Registered agents as agents of the directory, so that catalogue, cards, rights, calls and tools treat all alike.

What a registration gets wrong never fails the whole: a skill that the API would refuse is left out.
"""

import re

from pydantic import ValidationError

from lambdaagent.a2a import Json
from lambdaagent.api.agent import LambdaAgent, parse
from lambdaagent.api.skills import Skill
from lambdaagent.coordination.registered_agent import RegisteredAgent, capability_names

_SKILLS = 100
_CALLABLE = frozenset(("a2a", "mcp"))


def callable_(agent: RegisteredAgent) -> bool:
    """Return whether calls of A2A can be made; the others get messages only."""
    return agent.protocol in _CALLABLE and bool(agent.agent_card)


def why_not(agent: RegisteredAgent) -> str:
    if agent.status == "inactive":
        return "it is inactive: it has missed its heartbeats"
    if agent.status == "suspended":
        return "it is suspended"
    if agent.protocol in _CALLABLE:
        return f"its card could not be fetched: {agent.card_problem or 'it has none'}"
    return "it takes messages only: send them with POST /a2a/message"


def lambda_agent(agent: RegisteredAgent, namespace: str) -> LambdaAgent:
    """Return the agent in the form of a resource in the namespace of the registry."""
    a2a: Json = {
        "enabled": True,
        "description": agent.description or agent.name,
        "version": agent.version or "0",
        "access": agent.access,
    }
    obj: Json = {"metadata": {"namespace": namespace, "name": agent.label}, "spec": {"a2a": a2a}}
    if callable_(agent):  # the skills are those of its card
        a2a["protocol"] = agent.protocol
        obj["spec"]["external"] = {"url": agent.endpoint_url}
        obj["status"] = {"a2aStatus": {"containerCard": agent.agent_card}}
    else:
        a2a["skills"] = _skills(agent)
    return parse(obj)


def _skills(agent: RegisteredAgent) -> list[Json]:
    described = {
        each["name"]: each
        for each in (agent.capabilities if isinstance(agent.capabilities, list) else [])
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    found: dict[str, Json] = {}
    for name in sorted(capability_names(agent.capabilities))[:_SKILLS]:
        id_ = re.sub("[^a-z0-9]+", "-", name.lower())[:63].strip("-")
        skill: Json = {"id": id_, "name": name, "tags": ["registered"]}
        described_as = described.get(name, {})
        if isinstance(text := described_as.get("description"), str):
            skill["description"] = text[:1024]
        for key, source in (("inputSchema", "input_schema"), ("outputSchema", "output_schema")):
            if isinstance(schema := described_as.get(source), dict) and schema:
                skill[key] = schema
        try:
            Skill.model_validate(skill)
        except ValidationError:
            continue
        found[id_] = skill
    return list(found.values())
