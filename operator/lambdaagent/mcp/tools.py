"""Agents' skills as tools: their names in each scope, their definitions, and the message of a call.

A name says where the skill is, as far as the endpoint's scope leaves it open: `{namespace}__{agent}__{skill}`,
`{agent}__{skill}` or `{skill}`. Names of agents and skills have no underscore, so no two skills have one name. Language
models accept 64 characters; a longer name ends in a digest of the whole.

Descriptions are the agents' own words, which a host puts before its model: each is limited, and none is merged with
another.
"""

from dataclasses import dataclass
from hashlib import sha256

from lambdaagent.a2a import Json
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.skills import Skill

_BETWEEN = "__"
_LONGEST = 64
_DESCRIPTION = 1024
_TEXT = 1_000_000  # characters of one argument
_INPUT: Json = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to tell the agent."},
        "context_id": {
            "type": "string",
            "description": "Continues a conversation: an earlier result's contextId.",
        },
    },
    "required": ["text"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an endpoint shows: all agents, those of one namespace, or one."""

    namespace: str = ""
    agent: str = ""


def name_of(agent: LambdaAgent, skill: Skill, scope: Scope) -> str:
    return name_for(agent.namespace, agent.name, skill.id, scope)


def name_for(namespace: str, agent: str, skill: str, scope: Scope) -> str:
    parts = [namespace, agent, skill]
    whole = _BETWEEN.join(parts[2 if scope.agent else 1 if scope.namespace else 0 :])
    if len(whole) <= _LONGEST:
        return whole
    digest = sha256(whole.encode()).hexdigest()[:12]
    return f"{whole[: _LONGEST - 13]}-{digest}"


def skills(agent: LambdaAgent) -> list[Skill]:
    return agent.spec.a2a.skills if agent.spec.a2a is not None else []


def definition(agent: LambdaAgent, skill: Skill, scope: Scope, *, modern: bool) -> Json:
    said = skill.description or skill.name
    output = shown_output(skill, modern=modern)
    return {
        "name": name_of(agent, skill, scope),
        "title": skill.name,
        "description": said[:_DESCRIPTION],
        "inputSchema": skill.input_schema if skill.input_schema is not None else _INPUT,
    } | ({"outputSchema": output} if output is not None else {})


def shown_output(skill: Skill, *, modern: bool) -> Json | None:
    """Return the schema of the tool's result. Before 2026-07-28, results are objects."""
    schema = skill.output_schema
    return schema if schema is not None and (modern or schema.get("type") == "object") else None


def find(agent: LambdaAgent, name: str, scope: Scope) -> Skill | None:
    """Return the agent's skill that a tool's name means."""
    return next((each for each in skills(agent) if name_of(agent, each, scope) == name), None)


def place(name: str, scope: Scope) -> tuple[str, str]:
    """Return the namespace and the name of the agent that a tool's name begins with; "" for what it does not say
    whole.
    """
    parts = [each for each in (scope.namespace, scope.agent) if each] + name.split(_BETWEEN)
    said = [*parts[:-1], "", ""]
    return said[0], said[1]


def is_cut(name: str) -> bool:
    """Return whether a name may end in a digest, so that it does not say where the skill is."""
    return len(name) == _LONGEST


class ArgumentError(Exception):
    """The arguments are not those of the tool; the message names what is wrong, for the host's model."""


def message(arguments: Json, *, skill: Skill, message_id: str, context_id: object = None) -> Json:
    """Return the message of a call, in the 1.0 form. Raises ArgumentError, unless the skill has a schema of its own:
    by that, the arguments are checked already, and are the message's data.
    """
    if skill.input_schema is None:
        _require_text(arguments)
        parts, context_id = [{"text": arguments["text"]}], arguments.get("context_id") or context_id
    else:
        parts = [{"data": arguments}]
    found: Json = {
        "messageId": message_id,
        "role": "ROLE_USER",
        "parts": parts,
        "metadata": {"skillId": skill.id},
    }
    return found | ({"contextId": context_id} if context_id else {})


def _require_text(arguments: Json) -> None:
    if unknown := sorted(set(arguments) - set(_INPUT["properties"])):
        raise ArgumentError(f"arguments.{unknown[0][:64]} is no argument of this tool.")
    for name, value in arguments.items():
        if not isinstance(value, str) or len(value) > _TEXT:
            raise ArgumentError(f"arguments.{name} must be a text of at most {_TEXT} characters.")
    if "text" not in arguments:
        raise ArgumentError("arguments.text is required.")
