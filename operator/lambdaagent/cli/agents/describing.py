"""What `lambdaagent agents describe` prints: an agent, its skills, and how it is called."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lambdaagent.a2a import Json
from lambdaagent.cli.printing import one_line, yaml_text
from lambdaagent.cli.terminal_text import clean

_WIDTH = 16  # of the labels


def text(entry: Json, card: Json, schemas: Mapping[str, Json]) -> str:
    """Return the description: `entry` is of the catalogue, `schemas` are those of the skills' inputs."""
    return "\n".join(_lines(entry, card, schemas)) + "\n"


def _lines(entry: Json, card: Json, schemas: Mapping[str, Json]) -> Iterator[str]:
    capabilities = card.get("capabilities") or {}
    provider = card.get("provider") or {}
    yield from _fields(
        {
            "Name": entry["agent"],
            "Ready": "yes" if entry["ready"] else "no",
            "Description": card.get("description"),
            "Version": card.get("version"),
            "Provider": " ".join(filter(None, (provider.get("organization"), provider.get("url")))),
            "Documentation": card.get("documentationUrl"),
            "URL": entry["url"],
            "Card": entry["cardUrl"],
            "Protocols": _joined(_protocol(each) for each in card.get("supportedInterfaces", [])),
            "Streams": "yes" if capabilities.get("streaming") else "no",
            "Push": "yes" if capabilities.get("pushNotifications") else "no",
            "Credentials": _joined(card.get("securitySchemes") or {}) or "none",
            "Accepts": _joined(card.get("defaultInputModes", [])),
            "Answers": _joined(card.get("defaultOutputModes", [])),
        }
    )
    yield "Skills:"
    for skill in card.get("skills", []):
        yield from _skill(skill, schemas.get(skill["id"]))
    yield "Call it:"
    for skill in card.get("skills", []) or [{}]:
        yield f"  {_command(entry['agent'], skill, alone=len(card.get('skills', [])) < 2)}"


def _skill(skill: Json, schema: Json | None) -> Iterator[str]:
    yield f"  {one_line(skill['id'])}"
    fields = {
        "Name": skill.get("name"),
        "Description": skill.get("description"),
        "Tags": _joined(skill.get("tags", [])),
        "Accepts": _joined(skill.get("inputModes", [])),
        "Answers": _joined(skill.get("outputModes", [])),
    }
    yield from _fields(fields, indent=4)
    for example in skill.get("examples", []):
        yield from _fields({"Example": example}, indent=4)
    if schema:
        yield "    Input schema:"
        yield from (f"      {line}" for line in clean(yaml_text(schema)).splitlines())


def _fields(fields: Mapping[str, Any], *, indent: int = 0) -> Iterator[str]:
    """Yield a line for each field that has a value."""
    for label, value in fields.items():
        if value:
            yield f"{' ' * indent}{label + ':':{_WIDTH}}{one_line(str(value))}"


def _protocol(interface: Json) -> str:
    return f"A2A {interface.get('protocolVersion')} {interface.get('protocolBinding')}"


def _joined(values: Iterable[str]) -> str:
    return ", ".join(map(str, values))


def _command(agent: str, skill: Json, *, alone: bool) -> str:
    chosen = [] if alone else ["--skill", one_line(skill["id"])]
    examples = [one_line(each) for each in skill.get("examples", [])]
    return shlex.join(["lambdaagent", "call", agent, *chosen, examples[0] if examples else "TEXT"])
