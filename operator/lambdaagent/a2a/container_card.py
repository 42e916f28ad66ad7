"""The card of a container that is an A2A server, or the tools of one that is an MCP server: what of it is stored, and
what it adds to the agent. Pure.

What a LambdaAgent specifies takes precedence; the container's card supplies what is missing.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import orjson

from lambdaagent.a2a import Json
from lambdaagent.api.a2a import A2a, Extension
from lambdaagent.api.agent import LambdaAgent
from lambdaagent.api.base import GROUP
from lambdaagent.api.container_card import MOST_EXTENSIONS, MOST_SKILLS, ContainerCard, ContainerSkill
from lambdaagent.api.skills import Invoke, Skill

_LONGEST = 1024  # characters of one text
_MOST_TEXTS = 16
_MOST_BYTES = 64 * 1024
"""Of all skills, and of all extensions: they are in the status of an object that every watcher receives."""
TASK_SUPPORT = f"{GROUP}/taskSupport"
_LARGEST_SCHEMA = 8 * 1024  # bytes
_FILLED = ("description", "tags", "examples", "input_modes", "output_modes", "input_schema", "output_schema")


def kept(card: Any, *, revision: str) -> Json:
    """Return what status keeps of a card of either version; fields that violate the protocol are left out."""
    if not isinstance(card, dict):
        return {"revision": revision, "error": "the card is not an object"}
    capabilities = card.get("capabilities")
    extensions = capabilities.get("extensions") if isinstance(capabilities, dict) else None
    inputs, outputs = _texts(card.get("defaultInputModes")), _texts(card.get("defaultOutputModes"))
    found = {
        "revision": revision,
        "description": _text(card.get("description")),
        "version": _text(card.get("version")),
        "defaultInputModes": inputs,
        "defaultOutputModes": outputs,
        "skills": _within(_skill(each, inputs, outputs) for each in _objects(card.get("skills"), MOST_SKILLS)),
        "extensions": _within(_extension(each) for each in _objects(extensions, MOST_EXTENSIONS)),
    }
    return {name: value for name, value in found.items() if value}


def skill_of_tool(given: Json) -> Json | None:
    """Return the tool of an MCP server as a skill; None for one that cannot be named."""
    if not (name := given.get("name")) or _text(name) != name:
        return None  # a shortened name would be that of no tool
    annotations = given.get("annotations")
    title = given.get("title") or (annotations.get("title") if isinstance(annotations, dict) else None)
    schemas = {key: _schema(given.get(key)) for key in ("inputSchema", "outputSchema")}
    fields = {
        "id": name,
        "name": _text(title) or name,
        "description": _text(given.get("description")),
        "inputModes": ["json", "text"],
        "outputModes": ["json", "text"],
    }
    long = {"taskSupport": "required"} if _runs_long(given) else {}
    return {name: value for name, value in (fields | schemas | long).items() if value}


def _runs_long(tool: Json) -> bool:
    """Return whether a tool is for clients with tasks alone: as 2025-11-25 says it, or by metadata, since no later
    revision does.
    """
    execution, meta = tool.get("execution"), tool.get("_meta")
    said = [each.get(key) for each, key in ((execution, "taskSupport"), (meta, TASK_SUPPORT)) if isinstance(each, dict)]
    return "required" in said


def kept_tools(skills: Iterable[Json | None], *, revision: str) -> Json:
    """Return what status keeps of a container that is an MCP server, whose tools `skill_of_tool` made skills."""
    skills = _within(islice(skills, MOST_SKILLS))
    return {"revision": revision} | ({"skills": skills} if skills else {})


def with_card(agent: LambdaAgent) -> LambdaAgent:
    """Return the agent, completed from its container's card where the resource has no value."""
    a2a, status = agent.spec.a2a, agent.status.a2a_status
    if a2a is None or a2a.protocol not in ("a2a", "mcp") or status is None:
        return agent
    card = status.container_card
    if card is None or card.error:
        return agent
    filled = a2a.model_copy(
        update={
            "description": a2a.description or card.description,
            "version": a2a.version or card.version,
            "skills": _filled(a2a, card),
            "extensions": a2a.extensions or [Extension.model_construct(**dict(each)) for each in card.extensions],
        }
    )
    shown: dict[str, Any] = {}
    if card.version and not a2a.version:  # the container's version is more exact than the image's tag
        shown["version"] = None
    if a2a.skills:  # their modes take precedence
        shown["container_card"] = card.model_copy(update={"default_input_modes": [], "default_output_modes": []})
    update: dict[str, Any] = {"spec": agent.spec.model_copy(update={"a2a": filled})}
    if shown:
        update["status"] = agent.status.model_copy(update={"a2a_status": status.model_copy(update=shown)})
    return agent.model_copy(update=update)


def _filled(a2a: A2a, card: ContainerCard) -> list[Skill]:
    """Return the container's skills if the resource has none; else its own, completed where both name a skill."""
    if not a2a.skills:
        return [Skill.model_construct(**_fields(each)) for each in card.skills]
    theirs = {skill.id: skill for skill in card.skills}
    # Modes that are enforced are the resource's own, its defaults too.
    filled = [name for name in _FILLED if not (a2a.enforce_modes and name.endswith("_modes"))]
    return [_completed(skill, theirs[skill.id], filled) if skill.id in theirs else skill for skill in a2a.skills]


def _completed(own: Skill, theirs: ContainerSkill, filled: Sequence[str]) -> Skill:
    # The API server stores defaults, so only another value is known to have been set by the user.
    unset = [name for name in filled if getattr(own, name) == _default(name)]
    missing = [name for name in unset if getattr(theirs, name)]
    return own.model_copy(update={name: getattr(theirs, name) for name in missing})


def _default(name: str) -> Any:
    return Skill.model_fields[name].get_default(call_default_factory=True)


def _fields(skill: ContainerSkill) -> dict[str, Any]:
    """Return the fields without empty values, for which the resource's defaults apply."""
    given = dict(skill)
    invoke = {"invoke": Invoke(task_support="required")} if given.pop("task_support") == "required" else {}
    return {name: value for name, value in given.items() if value or name in ("id", "name")} | invoke


def _skill(given: Json, inputs: list[str], outputs: list[str]) -> Json | None:
    if not (id_ := _text(given.get("id"))):
        return None
    fields = {
        "id": id_,
        "name": _text(given.get("name")) or id_,
        "description": _text(given.get("description")),
        "tags": _texts(given.get("tags")),
        "examples": _texts(given.get("examples")),
        "inputModes": _texts(given.get("inputModes")) or inputs,
        "outputModes": _texts(given.get("outputModes")) or outputs,
    }
    return {name: value for name, value in fields.items() if value}


def _schema(value: Any) -> Json | None:
    """Return the schema unless it is too large for status; the tool can be called without it."""
    if not isinstance(value, dict):
        return None
    try:
        return value if len(orjson.dumps(value)) <= _LARGEST_SCHEMA else None
    except TypeError:  # nested deeper than can be written
        return None


def _extension(given: Json) -> Json | None:
    if not (uri := _text(given.get("uri"))) or not (uri.isascii() and uri.isprintable()) or "," in uri:
        return None
    params = given.get("params")
    fields = {
        "uri": uri,
        "description": _text(given.get("description")),
        "required": given.get("required") is True,
        "params": params if isinstance(params, dict) else None,
    }
    return {name: value for name, value in fields.items() if value}


def _objects(value: Any, most: int) -> list[Json]:
    return [each for each in value[:most] if isinstance(each, dict)] if isinstance(value, list) else []


def _within(found: Iterable[Json | None]) -> list[Json]:
    """Return the first objects that fit into the limit, each once."""
    taken: dict[str, Json] = {}
    left = _MOST_BYTES
    for each in found:
        if each is None or (key := each.get("id") or each["uri"]) in taken:
            continue
        left -= len(orjson.dumps(each))
        if left < 0:
            break
        taken[key] = each
    return list(taken.values())


def _text(value: Any) -> str:
    """Return the text, shortened and without characters that JSON cannot hold."""
    return value[:_LONGEST].encode(errors="ignore").decode() if isinstance(value, str) else ""


def _texts(value: Any) -> list[str]:
    found = value[:_MOST_TEXTS] if isinstance(value, list) else []
    return [text for each in found if (text := _text(each))]
